//! Countries and blocs. A bloc is a list of countries, not a prefix of region names:
//! aws:eu-west-2 is in the United Kingdom, aws:eu-central-2 in Switzerland.

/// ISO 3166-1 alpha-2 codes (edition of 2020, as maintained by the ISO 3166 agency).
pub const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ \
BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET \
FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR \
IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN \
MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY \
QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR \
TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Member states of the European Union (27, since 2020-02-01).
const EU: &str = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";

/// Blocs and their members. EEA: EU plus the EFTA states but Switzerland.
const BLOCS: [(&str, &[&str]); 3] = [
    ("EU", &[EU]),
    ("EEA", &[EU, "IS LI NO"]),
    ("EFTA", &["CH IS LI NO"]),
];

/// Names of the known blocs.
pub fn blocs() -> impl Iterator<Item = &'static str> {
    BLOCS.iter().map(|(name, _)| *name)
}

/// The countries that `text` names: one country, or the members of a bloc. `None`: neither.
pub fn countries(text: &str) -> Option<Vec<&'static str>> {
    if let Some((_, members)) = BLOCS.iter().find(|(name, _)| *name == text) {
        return Some(
            members
                .iter()
                .flat_map(|list| list.split_whitespace())
                .collect(),
        );
    }
    COUNTRIES
        .split_whitespace()
        .find(|code| *code == text)
        .map(|code| vec![code])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocs_are_lists_of_countries() {
        assert_eq!(COUNTRIES.split_whitespace().count(), 249);
        let eu = countries("EU").unwrap();
        assert_eq!(eu.len(), 27);
        assert!(eu.contains(&"IE") && !eu.contains(&"GB") && !eu.contains(&"CH"));
        assert_eq!(countries("EEA").unwrap().len(), 30);
        assert_eq!(countries("GB"), Some(vec!["GB"]));
        assert_eq!(countries("UK"), None);
    }
}
