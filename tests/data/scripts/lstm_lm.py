"""An LSTM language model on words; the hidden state is carried from batch to batch through the text."""

import argparse
import math
import time
from collections import Counter

import torch
import torch.nn as nn

parser = argparse.ArgumentParser(description="PyTorch RNN language model")
parser.add_argument("--data", type=str, default="input.txt", help="location of the text")
parser.add_argument("--emsize", type=int, default=16, help="size of word embeddings")
parser.add_argument("--nhid", type=int, default=16, help="number of hidden units per layer")
parser.add_argument("--nlayers", type=int, default=2, help="number of layers")
parser.add_argument("--lr", type=float, default=2.0, help="initial learning rate")
parser.add_argument("--clip", type=float, default=0.25, help="gradient clipping")
parser.add_argument("--epochs", type=int, default=2, help="upper epoch limit")
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--bptt", type=int, default=16, help="sequence length")
parser.add_argument("--dropout", type=float, default=0.2)
parser.add_argument("--words", type=int, default=1000, help="length of the text")
parser.add_argument("--seed", type=int, default=1111, help="random seed")
parser.add_argument("--log-interval", type=int, default=5)
parser.add_argument("--cuda", action="store_true", help="use CUDA")
args = parser.parse_args()

# Set the random seed manually for reproducibility.
torch.manual_seed(args.seed)
device = torch.device("cuda" if args.cuda else "cpu")

###############################################################################
# Load data
###############################################################################

words = open(args.data, encoding="utf-8").read().split()[: args.words]
vocabulary = [word for word, count in Counter(words).most_common(200)]
index = {word: i + 1 for i, word in enumerate(vocabulary)}
ids = torch.tensor([index.get(word, 0) for word in words])


def batchify(data, bsz):
    # Work out how cleanly we can divide the dataset into bsz parts.
    nbatch = data.size(0) // bsz
    # Evenly divide the data across the bsz batches.
    return data[: nbatch * bsz].view(bsz, -1).t().contiguous().to(device)


train_data = batchify(ids[: len(ids) * 8 // 10], args.batch_size)
val_data = batchify(ids[len(ids) * 8 // 10 : len(ids) * 9 // 10], 4)
test_data = batchify(ids[len(ids) * 9 // 10 :], 4)
num_batches = math.ceil((train_data.size(0) - 1) / args.bptt)


class RNNModel(nn.Module):
    """Container module with an encoder, a recurrent module, and a decoder."""

    def __init__(self, ntoken, ninp, nhid, nlayers, dropout):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        self.nhid, self.nlayers = nhid, nlayers
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output))
        return decoded.view(-1, decoded.size(-1)), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))


model = RNNModel(len(vocabulary) + 1, args.emsize, args.nhid, args.nlayers, args.dropout).to(device)
criterion = nn.CrossEntropyLoss()


def repackage_hidden(h):
    """Wraps hidden states in new Tensors, to detach them from their history."""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i):
    seq_len = min(args.bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def evaluate(data_source):
    # Turn on evaluation mode which disables dropout.
    model.eval()
    total_loss = 0.0
    hidden = model.init_hidden(4)
    with torch.no_grad():
        for i in range(0, data_source.size(0) - 1, args.bptt):
            data, targets = get_batch(data_source, i)
            output, hidden = model(data, hidden)
            total_loss += len(data) * criterion(output, targets).item()
    return total_loss / (len(data_source) - 1)


# Where the training is. The hidden state begins anew with the text.
state = {"step": 0, "hidden": None, "lr": args.lr, "best_val_loss": None}
total_loss, start_time = 0.0, time.time()

while state["step"] < args.epochs * num_batches:
    # Turn on training mode which enables dropout.
    model.train()
    epoch, batch = divmod(state["step"], num_batches)
    if batch == 0:
        state["hidden"] = model.init_hidden(args.batch_size)
    data, targets = get_batch(train_data, batch * args.bptt)
    # Starting each batch, we detach the hidden state from how it was previously produced.
    # If we didn't, the model would try backpropagating all the way to start of the dataset.
    hidden = repackage_hidden(state["hidden"])
    model.zero_grad()
    output, hidden = model(data, hidden)
    loss = criterion(output, targets)
    loss.backward()

    # `clip_grad_norm` helps prevent the exploding gradient problem in RNNs / LSTMs.
    torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
    lr = state["lr"]
    with torch.no_grad():
        for p in model.parameters():
            p.add_(p.grad, alpha=-lr)

    total_loss += loss.item()
    if batch % args.log_interval == 0 and batch > 0:
        ms = (time.time() - start_time) * 1000 / args.log_interval
        print(f"| epoch {epoch:3d} | {batch:5d}/{num_batches:5d} batches | lr {lr:02.2f} | ms/batch {ms:5.2f}")
        total_loss, start_time = 0.0, time.time()

    state["hidden"] = repackage_hidden(hidden)
    state["step"] += 1
    if state["step"] % num_batches == 0:
        val_loss = evaluate(val_data)
        print(f"| end of epoch {epoch:3d} | valid loss {val_loss:5.2f} | valid ppl {math.exp(val_loss):8.2f}")
        if not state["best_val_loss"] or val_loss < state["best_val_loss"]:
            state["best_val_loss"] = val_loss
        else:
            # Anneal the learning rate if no improvement has been seen in the validation dataset.
            state["lr"] /= 4.0

print(f"| End of training | test loss {evaluate(test_data):5.2f}")
