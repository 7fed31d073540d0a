"""Says which values JSON Schemas allow, by Python's validator, which shares no code with sky.

The file that is named has one JSON value a line: first the schemas by name, then pairs of a schema's name and a value.
For each pair it prints a line: nothing if the schema allows the value, else where the value is wrong and why.
"""

import json
import re
import sys

from jsonschema import Draft7Validator


def with_ends(schema):
    """The schema with patterns that mean here what JSON Schema says: Python's `$` is also found before a last newline."""
    if isinstance(schema, list):
        return [with_ends(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    end = lambda pattern: re.sub(r"(?<!\\)\$", r"\\Z", pattern)
    changed = {}
    for key, value in schema.items():
        if key == "pattern" and isinstance(value, str):
            changed[key] = end(value)
        elif key == "patternProperties":
            changed[key] = {end(pattern): with_ends(one) for pattern, one in value.items()}
        elif key in ("enum", "examples"):
            changed[key] = value
        else:
            changed[key] = with_ends(value)
    return changed


def main():
    validators = {}
    with open(sys.argv[1], encoding="utf-8") as lines:
        for name, schema in json.loads(next(lines)).items():
            Draft7Validator.check_schema(schema)
            validators[name] = Draft7Validator(with_ends(schema))
        for line in lines:
            name, value = json.loads(line)
            error = next(validators[name].iter_errors(value), None)
            if error is None:
                print()
            else:
                where = "/".join(str(part) for part in error.absolute_path)
                print(f"{where or 'the whole'}: {error.message}".replace("\n", " ")[:300])


main()
