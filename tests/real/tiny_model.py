#!/usr/bin/env python3
"""Builds a model of a few hundred tokens that says one thing: a change in the form that stage Implement asks for.

It is a bigram: each token leads to one other, by a table in the output matrix; the one transformer block in between is all
zeros. What it says is learnt by heart, and what serves it is real: tokenizer, chat template, grammar, sampling, HTTP.
The file is the same from build to build.

    tiny_model.py OUT.gguf
"""

import json
import sys

import gguf
import numpy as np

DIFF = "--- /dev/null\n+++ b/docs/tiny.md\n@@ -0,0 +1,2 @@\n+# Written by a tiny model\n+It knows one change by heart.\n"
CHANGE = {"summary": "A page by a tiny local model.", "files": [{"path": "docs/tiny.md", "diff": DIFF}]}

# Wide enough for a direction of its own for each token, and a multiple of what the kernels want.
WIDTH = 512
HEADS = 4
CONTEXT = 32768
# So far above all others that sampling has no choice.
CERTAIN = 60.0


def pieces(text, size=12):
    """The answer in pieces, each with a token of its own: the same piece twice would lead to two successors."""
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    if len(set(cut)) != len(cut):
        return pieces(text, size + 1)
    return cut


def byte_words():
    """How byte-level vocabularies write the 256 bytes."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    words, spare = {}, 0
    for byte in range(256):
        if byte in shown:
            words[byte] = chr(byte)
        else:
            words[byte] = chr(256 + spare)
            spare += 1
    return [words[byte] for byte in range(256)]


def main(path):
    answer = pieces(json.dumps(CHANGE, separators=(",", ":")))
    # The reader wants at least one merge: two spaces become one token.
    space = byte_words()[32]
    tokens = [*byte_words(), space + space, "<|end|>", "<|go|>", *answer]
    end, go, first = 257, 258, 259
    kinds = [gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.USER_DEFINED] * len(answer)
    assert len(tokens) <= WIDTH, len(tokens)

    leads_to = np.zeros((len(tokens), WIDTH), dtype=np.float32)
    chain = [go, *range(first, first + len(answer)), end]
    for before, after in zip(chain, chain[1:]):
        leads_to[after, before] = CERTAIN / np.sqrt(WIDTH)
    for byte in range(end):
        leads_to[end, byte] = CERTAIN / np.sqrt(WIDTH)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("sluice tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([f"{space} {space}"])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}\n{% endfor %}<|go|>")

    embedding = np.zeros((len(tokens), WIDTH), dtype=np.float32)
    np.fill_diagonal(embedding, np.sqrt(WIDTH))
    ones, square = np.ones(WIDTH, dtype=np.float32), np.zeros((WIDTH, WIDTH), dtype=np.float32)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", leads_to)
    writer.add_tensor("output_norm.weight", ones)
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", ones)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", square)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
