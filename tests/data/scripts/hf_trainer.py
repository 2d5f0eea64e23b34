"""Trains a small GPT-2 from scratch on a text, with the Trainer of Hugging Face."""

from dataclasses import dataclass, field

import torch
from transformers import GPT2Config, GPT2LMHeadModel, HfArgumentParser, Trainer, TrainingArguments, set_seed


@dataclass
class DataTrainingArguments:
    data: str = field(default="input.txt", metadata={"help": "The text."})
    block_size: int = field(default=16, metadata={"help": "Length of the input sequences."})


def blocks(data, block_size):
    data = data[: len(data) // block_size * block_size]
    return [{"input_ids": row, "labels": row} for row in data.view(-1, block_size)]


def main():
    parser = HfArgumentParser((TrainingArguments, DataTrainingArguments))
    training_args, data_args = parser.parse_args_into_dataclasses()
    set_seed(training_args.seed)

    with open(data_args.data, "rb") as file:
        data = torch.tensor(list(file.read()[:4000]))
    n = len(data)
    train_dataset = blocks(data[: n * 8 // 10], data_args.block_size)
    eval_dataset = blocks(data[n * 8 // 10 : n * 9 // 10], data_args.block_size)
    test_dataset = blocks(data[n * 9 // 10 :], data_args.block_size)

    config = GPT2Config(vocab_size=256, n_positions=data_args.block_size, n_embd=16, n_layer=1, n_head=2)
    config.bos_token_id = config.eos_token_id = 0
    model = GPT2LMHeadModel(config)

    trainer = Trainer(model=model, args=training_args, train_dataset=train_dataset, eval_dataset=eval_dataset)
    trainer.train(resume_from_checkpoint=training_args.resume_from_checkpoint)
    trainer.save_model()

    metrics = trainer.evaluate()
    trainer.log_metrics("eval", metrics)
    metrics = trainer.evaluate(test_dataset, metric_key_prefix="test")
    trainer.log_metrics("test", metrics)


if __name__ == "__main__":
    main()
