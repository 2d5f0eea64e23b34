"""Tiny models of the paper's architectures, their tokenizers, and data for each task, all made here."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Folder = Callable[[str], Path]
"""Where a model is, or the data of a task, by its name."""

TEXT = """the cat dog sat ran on under a mat log in red blue old house near
Anna Bob Paris Rome asked who where"""
WORDS = TEXT.split()
NAMES = {"Anna": "B-PER", "Bob": "B-PER", "Paris": "B-LOC", "Rome": "B-LOC"}
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
VOCABULARY = len(SPECIAL) + 26
SIDE = 16

STACK = {"vocab_size": VOCABULARY, "d_model": 8, "max_position_embeddings": 64}
SIDES = {
    f"{side}_{name}": value
    for side in ("encoder", "decoder")
    for name, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))
}
ENDS = {
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
T5 = {"vocab_size": VOCABULARY, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
T5_ENDS = {"pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}
ENCODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
FSMT = {
    "langs": ["de", "en"],
    "src_vocab_size": VOCABULARY,
    "tgt_vocab_size": VOCABULARY,
    "d_model": 8,
    "max_position_embeddings": 64,
}
RESNET = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1]}
VIT = {
    "image_size": SIDE,
    "patch_size": 8,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
SEGFORMER = {
    "hidden_sizes": [4, 8, 8, 8],
    "num_attention_heads": [1, 1, 2, 2],
    "depths": [1, 1, 1, 1],
    "decoder_hidden_size": 8,
    "sr_ratios": [1, 1, 1, 1],
}

ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "pegasus-x": ("PegasusX", STACK | SIDES | ENDS | {"block_size": 8, "num_global_tokens": 2}),
    "fsmt": ("FSMT", FSMT | SIDES | ENDS),
    "blenderbot-small": ("BlenderbotSmall", STACK | SIDES | ENDS),
    "long-t5": ("LongT5", T5 | T5_ENDS | {"encoder_attention_type": "transient-global", "global_block_size": 4}),
    "bart": ("Bart", STACK | SIDES | ENDS),
    "mbart": ("MBart", STACK | SIDES | ENDS),
    "t5": ("T5", T5 | T5_ENDS),
    "bert": ("Bert", ENCODER),
    "xlm-roberta": ("XLMRoberta", ENCODER),
    "camembert": ("Camembert", ENCODER),
    "resnet": ("ResNet", RESNET),
    "resnet-bottleneck": ("ResNet", RESNET | {"layer_type": "bottleneck"}),
    "vit": ("ViT", VIT),
    "segformer": ("Segformer", SEGFORMER),
}
"""Architecture -> its name in transformers, and a configuration that is as small as it gets."""

ABLE: dict[str, tuple[str, ...]] = {
    "translation": ("pegasus-x", "fsmt", "blenderbot-small", "long-t5", "mbart"),
    "summarization": ("bart", "t5"),
    "question-answering": ("xlm-roberta", "bert", "bart"),
    "token-classification": ("bert", "xlm-roberta", "camembert"),
    "image-classification": ("resnet", "resnet-bottleneck", "vit"),
    "segmentation": ("segformer",),
}
"""Task -> the paper's architectures; the first of each also trains under GreedyLR."""

CHOSEN: dict[str, dict[str, Any]] = {
    "translation": {"max_source_tokens": 16, "max_target_tokens": 12},
    "summarization": {"max_source_tokens": 16, "max_target_tokens": 8, "prefix": ""},
    "question-answering": {"max_tokens": 24, "stride": 4},
    "token-classification": {"max_tokens": 12},
    "image-classification": {},
    "segmentation": {},
}
"""Task -> parameters beside the model and the data."""

ROWS = 120
TRAINING = 60


def save_model(name: str, folder: Path) -> Path:
    """A tiny model with fresh weights, its tokenizer or its image processor, in a folder of transformers' form."""
    import torch
    import transformers

    kind, settings = ARCHITECTURES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**settings)
    heads = ("ForConditionalGeneration", "ForImageClassification", "Model")
    head = next(each for each in heads if hasattr(transformers, kind + each))
    model = getattr(transformers, kind + head)(config)
    model.save_pretrained(folder)
    if name in ("resnet", "resnet-bottleneck", "vit", "segformer"):
        size = {"shortest_edge": SIDE} if name.startswith("resnet") else {"height": SIDE, "width": SIDE}
        kind = {"vit": "ViT", "segformer": "Segformer"}.get(name, "ConvNext")
        about = {"image_processor_type": f"{kind}ImageProcessor", "size": size, "image_mean": [0.5] * 3, "resample": 2}
        (folder / "preprocessor_config.json").write_text(json.dumps(about))
    else:
        save_tokenizer(folder, types=name == "bert")
    return folder


def save_tokenizer(folder: Path, *, types: bool = False) -> None:
    """A tokenizer with a token for each word, and a few for what it does not know."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens = [*SPECIAL, *WORDS]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    names = {"pad": "<pad>", "bos": "<s>", "eos": "</s>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
    inputs = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    saved: Any = PreTrainedTokenizerFast
    saved(
        tokenizer_object=tokenizer,
        model_input_names=inputs,
        **{f"{name}_token": token for name, token in names.items()},
    ).save_pretrained(folder)


def sentence(draw: random.Random, words: int) -> list[str]:
    """Words at random."""
    return draw.choices(WORDS, k=words)


def texts(task: str, n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of a task on texts."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for _ in range(n):
        words = sentence(draw, draw.randint(4, 20))
        if task == "translation":
            rows.append({"translation": {"de": " ".join(words), "en": " ".join(reversed(words))}})
        elif task == "summarization":
            rows.append({"document": " ".join(words), "summary": " ".join(words[:3])})
        elif task == "token-classification":
            rows.append({"tokens": words, "ner_tags": [NAMES.get(word, "O") for word in words]})
        else:
            rows.append(question(words, draw))
    return rows


def question(words: list[str], draw: random.Random) -> dict[str, Any]:
    """Which word comes at some place of a text; now and then, the text does not say."""
    place = draw.randrange(len(words))
    start = len(" ".join(words[:place])) + (place > 0)
    answers = (
        {"text": [words[place]], "answer_start": [start]} if draw.random() < 0.9 else {"text": [], "answer_start": []}
    )
    return {"question": f"who {words[place - 1]}", "context": " ".join(words), "answers": answers}


def save_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as a .jsonl file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def save_images(path: Path, task: str, n: int, seed: int = 0) -> Path:
    """Images of one of three colours, with their kind or with a mask of their left half, as a .parquet file."""
    import numpy as np
    from datasets import ClassLabel, Dataset, Features, Image
    from PIL import Image as Pillow

    draw = np.random.RandomState(seed)
    rows: dict[str, list[Any]] = {"image": [], "label": []}
    for _ in range(n):
        kind = draw.randint(3)
        pixels = draw.randint(0, 120, (SIDE + 8, SIDE + 4, 3)).astype("uint8")
        pixels[:, : SIDE // 2, kind] += 130
        mask = np.zeros(pixels.shape[:2], "uint8")
        mask[:, : SIDE // 2], mask[0] = kind + 1, 255
        rows["image"].append(Pillow.fromarray(pixels))
        rows["label"].append(int(kind) if task == "image-classification" else Pillow.fromarray(mask))
    label = ClassLabel(names=["red", "green", "blue"]) if task == "image-classification" else Image()
    image, label_column = ("img", "label") if task == "image-classification" else ("pixel_values", "label")
    path.parent.mkdir(parents=True, exist_ok=True)
    features = Features({image: Image(), label_column: label})
    Dataset.from_dict({image: rows["image"], label_column: rows["label"]}, features).to_parquet(path)
    return path


def save_data(task: str, folder: Path) -> Path:
    """The data of a task: one table, of which all parts are cut."""
    if task in ("image-classification", "segmentation"):
        return save_images(folder / f"{task}.parquet", task, ROWS)
    return save_table(folder / f"{task}.jsonl", texts(task, ROWS))


def workload(task: str, model: Path, data: Path, **changes: Any) -> dict[str, Any]:
    """The parameters of a workload on these."""
    chosen: Mapping[str, Any] = {"model": str(model), "data": str(data), "batch_size": 4, **CHOSEN[task], **changes}
    return dict(chosen)
