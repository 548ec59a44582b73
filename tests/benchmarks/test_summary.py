import pytest
from report import Claim, claim, claims_table, peak_swing
from summary import draw, markdown


def test_a_claim_is_about_the_lowest_value_or_the_mean():
    assert claim("it", 1.5, [4.0, 1.0]) == [Claim("it", 1.5, 1.0)]
    assert claim("it", 1.5, [4.0, 1.0], mean=True) == [Claim("it", 1.5, pytest.approx(2))]
    assert claim("it", 1.5, [4.0, None]) == []
    assert [one.met for one in (Claim("it", 1.5, 1.5), Claim("it", 1.5, 1.4))] == [True, False]
    assert claims_table([Claim("it", 1.5, 1.4)]).endswith("MISSED")


def test_a_busy_machine_shows_in_the_peak():
    rates = [{"median": 0.0, "p10": low, "p90": 100.0} for low in (90.0, 60.0)]
    rows = [{"peak_gflops": {"2": rates[0]}}, {"peak_gflops": {"2": rates[1], "1": rates[0]}}, {"peak_gflops": {}}]
    assert peak_swing(rows) == 0.6
    assert peak_swing([]) == 1


def test_the_summary_marks_missed_targets_and_draws():
    spread = {"median": 2.0, "p10": 1.5, "p90": 2.5}
    elman = {"milliseconds": spread, "gflops": 3.0, "share_of_peak": None, "times_as_long": None}
    row = {"shape": "T1B1H1", "what": "training step", "cell": "lstm",
           "contestants": {"elman": elman, "torch": {**elman, "times_as_long": spread}}}  # fmt: skip
    claims = [{"what": "lstm", "target": 3, "measured": 2.0, "unit": "x", "met": False}]
    machine = {"processor": "any", "cores": 2, "threads": 2, "kernels": "avx2"}
    results = {
        "recurrent": {
            "about": "It.",
            "machine": machine,
            "versions": {"elman": "1"},
            "rows": [row],
            "claims": claims,
            "peak_swing": 0.5,
        }
    }
    text = markdown(results)
    assert "The machine was busy during *recurrent*: the peak fell to 50% of its best." in text
    assert "| lstm | 3 x | 2.00 x | missed |" in text
    assert "| T1B1H1 | lstm training step | torch | 2 (1.5 to 2.5) | 3 |  | 2.00 |" in text
    assert [panel.get_title() for panel in draw(results).axes] == ["LSTM", "GRU", "RNN"]
