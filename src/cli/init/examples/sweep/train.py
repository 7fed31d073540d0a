"""Trains a model with one row of the settings, and writes it and its score."""

import argparse
import pathlib

import pandas
import xgboost
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--settings", required=True)
parser.add_argument("--row", type=int, required=True)
parser.add_argument("--table", required=True)
parser.add_argument("--model", required=True)
parser.add_argument("--score", required=True)
arguments = parser.parse_args()

setting = pandas.read_csv(arguments.settings).iloc[arguments.row]
table = pandas.read_parquet(arguments.table)
features, target = table.drop(columns="target"), table["target"]
train_x, test_x, train_y, test_y = train_test_split(features, target, random_state=0)

model = xgboost.XGBClassifier(
    n_estimators=2000,
    learning_rate=setting.learning_rate,
    max_depth=int(setting.max_depth),
    subsample=setting.subsample,
)
model.fit(train_x, train_y)
score = roc_auc_score(test_y, model.predict_proba(test_x)[:, 1])

pathlib.Path(arguments.model).write_bytes(model.get_booster().save_raw("ubj"))
pathlib.Path(arguments.score).write_text(f"{score:.4f} {arguments.row}\n")
