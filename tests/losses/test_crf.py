"""CRFLoss against an enumeration of all paths, pytorch-crf and finite differences."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torchcrf import CRF as Peer

from elman.classical.tag_schemes import Allowed, all_tags, allowed
from elman.kernels import native
from elman.losses import CRFLoss, crf_loss
from elman.losses.crf import reference
from elman.sequences import Sequences

LENGTHS = [4, 0, 1, 3, 0]


def problem(lengths=LENGTHS, num_tags=3, dtype=torch.float64, seed=0):
    """Return scores [N, K], tags [N], lengths, transitions, start, end."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()

    tags = torch.randint(num_tags, (sum(lengths),), generator=generator)
    return draw(sum(lengths), num_tags), tags, lengths, draw(num_tags, num_tags), draw(num_tags), draw(num_tags)


def leaves(arguments):
    scores, _, _, transitions, start, end = arguments
    return scores, transitions, start, end


def by_all_paths(scores, tags, lengths, transitions, start, end):
    """Compute the sum over rows of log Z - weight in PyTorch, so that its gradients are those of the definition."""
    loss = torch.zeros((), dtype=scores.dtype)
    for x, y in zip(scores.split(lengths), tags.split(lengths), strict=True):
        if len(x):
            weights = {}
            for path in product(range(len(start)), repeat=len(x)):
                weight = start[path[0]] + end[path[-1]] + sum(x[t, tag] for t, tag in enumerate(path))
                weights[path] = weight + sum(transitions[a, b] for a, b in pairwise(path))
            loss = loss + torch.stack(list(weights.values())).logsumexp(0) - weights[tuple(y.tolist())]
    return loss


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradients_are_those_of_all_paths(dtype, reduction):
    arguments = problem(dtype=dtype)
    loss = crf_loss(*arguments, reduction, streams=2)
    expected = by_all_paths(*arguments) / (sum(LENGTHS) if reduction == "mean" else 2)
    assert loss.dtype == dtype
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad(3 * loss, leaves(arguments))
    torch.testing.assert_close(found, torch.autograd.grad(3 * expected, leaves(arguments)))
    with torch.no_grad():
        torch.testing.assert_close(crf_loss(*arguments, reduction, streams=2), expected.detach())


def test_the_reference_is_the_same():
    arguments = problem()
    expected = by_all_paths(*arguments)
    torch.testing.assert_close(reference(*arguments), expected)
    found = torch.autograd.grad(reference(*arguments), leaves(arguments))
    torch.testing.assert_close(found, torch.autograd.grad(expected, leaves(arguments)))


@pytest.mark.parametrize("native_answers", [True, False] if native.available() else [False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_pytorch_crf_on_padded_rows(dtype, native_answers, monkeypatch):
    if not native_answers:
        monkeypatch.setattr(native, "module", None)
    lengths = [7, 1, 12, 5]
    scores, tags, _, transitions, start, end = problem(lengths, num_tags=9, dtype=dtype, seed=1)
    peer = Peer(9, batch_first=True).to(dtype)
    with torch.no_grad():
        for parameter, weight in zip((peer.transitions, peer.start_transitions, peer.end_transitions),
                                     (transitions, start, end), strict=True):  # fmt: skip
            parameter.copy_(weight)
    padded = torch.nn.utils.rnn.pad_sequence(scores.split(lengths), batch_first=True)
    padded_tags = torch.nn.utils.rnn.pad_sequence(tags.split(lengths), batch_first=True)
    mask = torch.arange(12) < torch.tensor(lengths)[:, None]
    expected = -peer(padded, padded_tags, mask, reduction="token_mean")
    loss = crf_loss(scores, tags, lengths, transitions, start, end)
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad(loss, (scores, transitions, start, end))
    weights = peer.transitions, peer.start_transitions, peer.end_transitions
    torch.testing.assert_close(found, torch.autograd.grad(expected, (scores, *weights)), rtol=1e-4, atol=1e-6)
    module = CRFLoss(9).to(dtype)
    module.load_state_dict({"transitions": transitions, "start": start, "end": end})
    decoded = module.decode(Sequences(scores, lengths)).to_list()
    assert [row.tolist() for row in decoded] == peer.decode(padded, mask)


def test_gradients_by_differences():
    arguments = problem([3, 0, 2])

    def loss(scores, transitions, start, end):
        return crf_loss(scores, arguments[1], arguments[2], transitions, start, end)

    assert gradcheck(loss, leaves(arguments))
    assert gradgradcheck(loss, leaves(arguments))


def test_only_wanted_gradients_are_computed():
    scores, tags, lengths, transitions, start, end = problem()
    start = start.detach()
    crf_loss(scores, tags, lengths, transitions, start, end).backward()
    assert start.grad is None
    expected = torch.autograd.grad(by_all_paths(scores, tags, lengths, transitions, start, end) / 8, scores)[0]
    torch.testing.assert_close(scores.grad, expected)
    with torch.enable_grad():
        loss = crf_loss(scores, tags, lengths, transitions, start, end)
        first = torch.autograd.grad(loss, scores, create_graph=True)[0]
        assert torch.autograd.grad(first.square().sum(), transitions)[0].abs().sum() > 0


def test_transforms_of_functions_go_to_the_reference():
    scores, tags, lengths, transitions, start, end = problem()
    rest = tags, lengths, transitions.detach(), start.detach(), end.detach()
    found = torch.func.grad(lambda x: crf_loss(x, *rest))(scores.detach())
    torch.testing.assert_close(found, torch.autograd.grad(crf_loss(scores, *rest), scores)[0])


def test_half_precision_is_computed_in_float64():
    arguments = problem(dtype=torch.bfloat16)
    doubles = [x.detach().double().requires_grad_() if x.is_floating_point() else x for x in arguments
               if torch.is_tensor(x)]  # fmt: skip
    loss, expected = crf_loss(*arguments), crf_loss(*doubles[:2], LENGTHS, *doubles[2:])
    assert loss.item() == expected.to(torch.bfloat16).item()
    expected = torch.autograd.grad(expected, [x for x in doubles if x.requires_grad])
    for found, wanted in zip(torch.autograd.grad(loss, leaves(arguments)), expected, strict=True):
        torch.testing.assert_close(found, wanted.to(torch.bfloat16), rtol=0.02, atol=0.01)


def test_a_training_step_does_not_change_its_inputs():
    arguments = problem()
    kept = [x.detach().clone() for x in leaves(arguments)]
    crf_loss(*arguments).backward()
    torch.testing.assert_close([x.detach() for x in leaves(arguments)], kept, rtol=0, atol=0)


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_batches_without_steps(lengths):
    arguments = problem(lengths)
    loss = crf_loss(*arguments)
    assert loss.item() == 0.0
    assert all(not gradient.any() for gradient in torch.autograd.grad(loss, leaves(arguments)))


def constrained(scheme="BIO", labels=("X", "Y")):
    tags = all_tags(labels, scheme)
    return CRFLoss(len(tags), allowed(tags, scheme)).double(), allowed(tags, scheme)


@pytest.mark.parametrize("scheme", ["BIO", "IOBES"])
def test_forbidden_transitions_stay_forbidden_in_training(scheme):
    module, may = constrained(scheme)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, module.num_tags, generator=generator, dtype=torch.float64).requires_grad_()
    scores = Sequences(x, [4, 2])
    tags = module.decode(scores).values
    optimizer = torch.optim.AdamW(module.parameters(), 0.1, weight_decay=0.1)
    losses = []
    for _ in range(20):
        loss = module(scores, tags)
        optimizer.zero_grad()
        loss.backward()
        assert not module.transitions.grad[~torch.from_numpy(may.transitions)].any()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    crf = module.crf()
    np.testing.assert_array_equal(np.isfinite(crf.transitions_), may.transitions)
    np.testing.assert_array_equal(np.isfinite(crf.start_), may.start)
    np.testing.assert_array_equal(np.isfinite(crf.end_), may.end)
    expected = -crf.log_prob(Sequences(x.detach().numpy(), [4, 2]), tags.numpy()).sum() / 6
    assert module(scores, tags).item() == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(torch.autograd.grad(reference(x, tags, [4, 2], *module._weights()) / 6, x),
                               torch.autograd.grad(module(scores, tags), x))  # fmt: skip


def test_saving_keeps_the_allowed_transitions():
    module, _ = constrained()
    with torch.no_grad():
        module.transitions.normal_()
    again = CRFLoss(5, Allowed(np.ones((5, 5), bool), np.ones(5, bool), np.ones(5, bool))).double()
    again.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(again.crf().transitions_, module.crf().transitions_)
    assert set(CRFLoss(5).state_dict()) == {"transitions", "start", "end"}


def test_scores_that_forbid():
    arguments = problem()
    with torch.no_grad():
        arguments[0][2, (arguments[1][2] + 1) % 3] = -torch.inf
    loss = crf_loss(*arguments)
    assert torch.isfinite(loss)
    torch.testing.assert_close(loss, reference(*arguments) / 8)
    for gradient in torch.autograd.grad(loss, leaves(arguments)):
        assert torch.isfinite(gradient).all()


def error_of(call, *arguments, **more):
    with pytest.raises((ValueError, TypeError)) as error:
        call(*arguments, **more)
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_numbers_that_are_none(dtype, wrong):
    messages = ["row 3, step 1: expected scores that are finite (or -inf, which forbids), got"]
    messages += [f"expected {name} that are finite" for name in ("transitions", "start", "end")]
    for leaf, message in enumerate(messages):
        arguments = problem(dtype=dtype)
        with torch.no_grad():
            leaves(arguments)[leaf].view(-1)[6 * 3 if leaf == 0 else -1] = wrong
        assert message in error_of(crf_loss, *arguments)


def test_tags_outside():
    arguments = problem()
    for wrong in (3, -1):
        arguments[1][5] = wrong
        assert error_of(crf_loss, *arguments) == f"crf_loss: row 3, step 0: expected a tag from 0 to 2, got {wrong}."


def test_tags_and_rows_that_are_forbidden():
    module, _ = constrained()
    scores = Sequences(torch.zeros(5, 5, dtype=torch.float64), [2, 0, 3])
    for tags, message in [
        ([0, 0, 1, 2, 4], "row 2, step 2: expected a tag that may follow 2, got 4"),
        ([0, 0, 2, 2, 2], "row 2, step 0: expected a tag that may begin a row, got 2"),
    ]:
        assert message in error_of(module, scores, torch.tensor(tags))
    module, _ = constrained("IOBES", ["X"])
    scores = Sequences(torch.zeros(5, 5, dtype=torch.float64), [2, 0, 3])
    message = error_of(module, scores, torch.tensor([0, 1, 0, 0, 0]))
    assert "row 0, step 1: expected a tag that may end a row, got 1" in message
    scores.values[4, [0, 4]] = -torch.inf
    assert "row 2, step 2: expected a tag that its scores allow, got 0" in error_of(
        module, scores, torch.zeros(5).long()
    )
    scores.values[2:] = -torch.inf
    message = "row 2: expected at least one path of tags that is not forbidden, got none"
    assert message in error_of(module, scores, torch.zeros(5).long())
    assert message in error_of(module.decode, scores)


def test_arguments_that_do_not_agree():
    scores, tags, lengths, transitions, start, end = problem()
    rest = transitions, start, end
    assert "expected reduction to be one of mean, sum, got 'none'" in error_of(
        crf_loss, scores, tags, lengths, *rest, "none"
    )
    assert "expected tags of shape [N=8], got [7]" in error_of(crf_loss, scores, tags[1:], lengths, *rest)
    assert "expected lengths that sum to 8 steps, got 7" in error_of(crf_loss, scores, tags, [7], *rest)
    assert "expected transitions of shape [K=3, K=3]" in error_of(crf_loss, scores, tags, lengths, start, start, end)
    assert "expected start of shape [K=3]" in error_of(crf_loss, scores, tags, lengths, transitions, end[1:], end)
    assert "of one floating-point dtype" in error_of(crf_loss, scores.float(), tags, lengths, *rest)
    assert "expected tags of integers, got torch.float64" in error_of(crf_loss, scores, tags.double(), lengths, *rest)
    wrong = Allowed(np.ones((2, 2), bool), np.ones(3, bool), np.ones(3, bool))
    assert "expected allowed.transitions of shape [K=3, K=3], got [2, 2]" in error_of(CRFLoss, 3, wrong)
    assert "expected num_tags of at least 1, got 0" in error_of(CRFLoss, 0)
