"""Turns a folder of .txt files into the chunks of tokens that `litgpt pretrain` reads."""

import argparse
import functools
import pathlib

from litdata import TokensLoader, optimize
from litgpt.tokenizer import Tokenizer


def tokens_of(path, tokenizer):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    yield tokenizer.encode(text, bos=False, eos=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    texts = sorted(str(path) for path in pathlib.Path(arguments.text).rglob("*.txt"))
    optimize(
        fn=functools.partial(tokens_of, tokenizer=Tokenizer(arguments.tokenizer)),
        inputs=texts,
        output_dir=arguments.out,
        chunk_bytes="200MB",
        item_loader=TokensLoader(),
    )
