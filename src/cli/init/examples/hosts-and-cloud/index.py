"""Turns transcripts into vectors that can be searched."""

import argparse
import pathlib

import numpy
from sentence_transformers import SentenceTransformer

parser = argparse.ArgumentParser()
parser.add_argument("--text", required=True)
parser.add_argument("--out", required=True)
arguments = parser.parse_args()

texts = [path.read_text() for path in sorted(pathlib.Path(arguments.text).glob("*.txt"))]
passages = [line for text in texts for line in text.splitlines() if line.strip()]
vectors = SentenceTransformer("all-MiniLM-L6-v2").encode(passages)
with open(arguments.out, "wb") as index:
    numpy.savez_compressed(index, passages=numpy.array(passages), vectors=vectors)
