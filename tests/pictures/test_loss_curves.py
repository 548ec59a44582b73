import json
import struct

from elman.pictures import loss_curves


def test_a_picture_of_a_log(tmp_path):
    events = [{"update": number, "loss": 3.0 / number} for number in range(1, 1000)]
    events += [{"update": number, "evaluation": 4.0 / number, "best": 0.0} for number in range(100, 1000, 100)]
    log, picture = tmp_path / "log.jsonl", tmp_path / "curves.png"
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    loss_curves(log, baseline=0.5, name="7-gram").savefig(picture, dpi=120)
    header = picture.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:]) == (960, 600)


def test_a_run_without_evaluations(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"update": 1, "loss": 2.5}\n')
    [line] = loss_curves(log).axes[0].lines
    assert line.get_label() == "training"
    assert line.get_xydata().tolist() == [[1.0, 2.5]]
