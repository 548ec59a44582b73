"""Recurrent operators of ONNX, RNN, LSTM and GRU, in relation to the cells of elman.

Gates are in the order `GATES`. There are two biases, and a first axis of directions: W [1 or 2, G H, D],
R [.., G H, H], B [.., 2 G H], and for peepholes P [.., 3 H] in the order input, output, forget. With the attribute
input_forget, f = 1 - i, and the weights of f are ignored. A MinGRU is a GRU with R = 0 and an identity as activation
of the candidate; its update gate is one minus that of the GRU, so that the weights have the opposite sign.
"""

GATES = {"RNN": ["candidate"], "LSTM": ["input", "output", "forget", "candidate"],
         "GRU": ["update", "reset", "candidate"]}  # fmt: skip
OURS = {"RNN": ["candidate"], "LSTM": ["input", "forget", "candidate", "output"],
        "GRU": ["reset", "update", "candidate"]}  # fmt: skip
ORDER = {kind: [OURS[kind].index(gate) for gate in gates] for kind, gates in GATES.items()}
PEEPHOLE_ORDER = [0, 2, 1]  # order of the gates with peepholes
DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}  # activations
MIN_GRU = ["Sigmoid", "Affine"]
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "identity": "Affine"}
