import math

import pytest
import torch

from elman.doctor import examine


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_is_a_verdict(value, tmp_path):
    net, x = torch.nn.GRU(3, 4), torch.randn(5, 2, 3)
    found = examine(net, lambda: net(x)[0].square().mean() * value)
    assert not math.isfinite(found.loss)
    assert [verdict.rule for verdict in found.verdicts()] == ["non-finite"]
    assert "no number" in found.summary()
    found.save(tmp_path / "report.html")
    assert "no number" in (tmp_path / "report.html").read_text()
