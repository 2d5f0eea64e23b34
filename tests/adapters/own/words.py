"""A word-level LSTM language model after PyTorch's word_language_model, and how lrctl gets it.

The hidden state goes on from batch to batch.
"""

import math

import torch
from torch import nn

import lrctl

WORDS, BPTT, BATCH = 40, 8, 10


def text(n, seed):
    """Sentences of a small grammar: what comes next depends on a word some way back."""
    generator = torch.Generator().manual_seed(seed)
    ids, topic = [], 0
    for i in range(n):
        if i % 6 == 0:
            topic = int(torch.randint(8, (), generator=generator))
        ids.append(topic * 5 + int(torch.randint(5, (), generator=generator)))
    return torch.tensor(ids)


def batchify(ids, columns):
    rows = len(ids) // columns
    return ids[: rows * columns].view(columns, rows).t().contiguous()


def get_batch(source, i):
    length = min(BPTT, len(source) - 1 - i)
    return source[i : i + length], source[i + 1 : i + 1 + length].reshape(-1)


def repackage(hidden):
    return tuple(h.detach() for h in hidden)


class RNNModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.drop = nn.Embedding(WORDS, 16), nn.Dropout(0.1)
        self.rnn, self.decoder = nn.LSTM(16, 24), nn.Linear(24, WORDS)

    def forward(self, data, hidden):
        output, hidden = self.rnn(self.drop(self.encoder(data)), hidden)
        return self.decoder(self.drop(output)).flatten(0, 1), hidden

    def init_hidden(self, columns):
        return torch.zeros(1, columns, 24), torch.zeros(1, columns, 24)


train_data = batchify(text(4000, 0), BATCH)
val_data, test_data = (batchify(text(400, seed), BATCH) for seed in (1, 2))
criterion = nn.CrossEntropyLoss()


def train_epoch(model, optimizer):
    hidden = model.init_hidden(BATCH)
    for i in range(0, len(train_data) - 1, BPTT):
        data, targets = get_batch(train_data, i)
        hidden = repackage(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()


def evaluate(model, source):
    hidden, total = model.init_hidden(BATCH), 0.0
    with torch.no_grad():
        for i in range(0, len(source) - 1, BPTT):
            data, targets = get_batch(source, i)
            output, hidden = model(data, hidden)
            total += len(data) * criterion(output, targets).item()
    return total / (len(source) - 1)


def main():
    model = RNNModel()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(5):
        train_epoch(model, optimizer)
        print(math.exp(evaluate(model, val_data)))


if __name__ == "__main__":
    main()


# What lrctl needs:
def loss_of(model, batch, state):
    output, hidden = model(batch[0], state.get("hidden") or model.init_hidden(BATCH))
    state["hidden"] = repackage(hidden)
    return criterion(output, batch[1])


sources = (train_data, val_data, test_data)
train, valid, test = ([get_batch(data, i) for i in range(0, len(data) - 1, BPTT)] for data in sources)
workload = lrctl.workload(
    model=RNNModel, train=train, held_out=(valid, test), loss=loss_of, batch_size=None, shuffle=False, clip_norm=0.25
)  # fmt: skip
