"""The sandbox: calls cross like calls, and nothing that the code inside does reaches the outside."""

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from minigpt.datasets import Batches, Tokens
from minigpt.errors import MinigptError
from minigpt.exercises import Stopped
from minigpt.perceptron import Perceptron
from minigpt.sandbox import ROOT, Limits, Sandbox, StandIn, walls
from minigpt.tokenizers import train_byte_pairs
from minigpt.transformer import GPT, GPTConfig

inside_walls = pytest.mark.skipif(not walls(), reason="bubblewrap (bwrap) is not installed, or does not work here")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(Limits(seconds=2)) as sandbox:
        yield sandbox


@pytest.fixture
def inside(sandbox):
    """Define something in a branch of the sandbox, and get the stand-in for it."""
    with sandbox.branch():
        yield lambda source, name="f": (sandbox.run(source), sandbox.look(name))[1]


# Calls --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -1.5, float("inf"), "字\n", [1, [2.0]], (1, "a"), {"a": (1,), 2: None}, {1, 2}, frozenset({"a"})],
)
def test_plain_values_come_back_as_they_went(inside, value):
    found = inside("def f(x): return x")(value)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_tensors_come_back_as_they_went(inside, dtype, shape):
    tensor = torch.randn(shape).to(dtype)
    found = inside("def f(x): return x")(tensor)
    assert found.dtype == dtype
    assert torch.equal(found, tensor)


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3).T, np.array(["a", "字"]), np.float32(2), np.int64(3)])
def test_arrays_and_numbers_of_numpy_come_back_as_they_went(inside, array):
    found = inside("def f(x): return x")(array)
    assert np.array_equal(found, array)
    assert np.shape(found) == np.shape(array)
    assert type(found) is type(array)


def test_arguments_may_be_named(inside):
    assert inside("def f(a, *, b): return a - b")(b=1, a=5) == 4


def test_changes_of_arguments_are_seen(inside):
    f = inside("def f(*xs):\n    for x in xs:\n        x += x")
    tensor, array, values = torch.ones(2), np.ones(3), [1, 2]
    f(tensor, array, values)
    assert tensor.tolist() == [2, 2]
    assert array.tolist() == [2, 2, 2]
    assert values == [1, 2, 1, 2]


def test_changes_of_dictionaries_sets_and_objects_are_seen(inside):
    f = inside("def f(d, s, p):\n    d['b'] = d.pop('a')\n    s.add(3)\n    p.bias, p.weights[0] = 7.0, 5.0")
    words, numbers, perceptron = {"a": 1}, {1}, Perceptron(2)
    f(words, numbers, perceptron)
    assert words == {"b": 1}
    assert numbers == {1, 3}
    assert (perceptron.bias, perceptron.weights[0]) == (7.0, 5.0)


def test_what_is_not_changed_stays_the_same_object(inside):
    inner = torch.ones(2)
    values = [inner]
    inside("def f(x): return len(x)")(values)
    assert values[0] is inner


def test_generators_go_on_where_they_were_left(inside):
    f = inside("def f(n, t):\n    import torch\n    return n.random(), torch.rand((), generator=t).item()")
    ours, theirs = [(np.random.default_rng(5), torch.Generator().manual_seed(5)) for _ in range(2)]
    drawn = [f(*theirs) for _ in range(2)]
    assert drawn == [(ours[0].random(), torch.rand((), generator=ours[1]).item()) for _ in range(2)]


def test_iterators_can_be_read_once(inside):
    f = inside("def f(pairs): return sum(a * b for a, b in pairs), list(pairs)")
    assert f(zip([1, 2], [3, 4], strict=True)) == (11, [])


def test_functions_are_called_back(inside):
    seen = []
    assert inside("def f(g): return [g(x) for x in (1, 2)]")(lambda x: seen.append(x) or 10 * x) == [10, 20]
    assert seen == [1, 2]


def test_an_error_of_a_called_back_function_goes_through(inside):
    def fail(x):
        raise KeyError("no")

    caught = inside("def f(g):\n    try:\n        g(1)\n    except KeyError as error:\n        return repr(error)")
    assert caught(fail) == "KeyError('no')"


def test_gradients_flow_through(inside):
    x, y = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)
    f = inside("def f(x, y): return (x * y).sum(), x ** 3")
    product, cube = f(2 * x, y)
    (product + (2 * cube).sum()).backward()
    expected = torch.autograd.grad((2 * x * y).sum() + (2 * (2 * x) ** 3).sum(), (x, y))
    assert torch.allclose(x.grad, expected[0])
    assert torch.allclose(y.grad, expected[1])


def test_gradients_that_a_call_left_arrive(inside):
    x = torch.randn(4, requires_grad=True)
    inside("def f(pieces):\n    for piece in pieces:\n        piece.sum().backward()")([x[:2] ** 2, x[2:] ** 3])
    assert torch.allclose(x.grad, torch.cat([2 * x[:2], 3 * x[2:] ** 2]))


def test_models_and_optimisers_are_trained_in_there(inside):
    torch.manual_seed(0)
    model, ids = GPT(GPTConfig(9, 8, 1, 2, 8)), torch.randint(9, (2, 9))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step = "def f(model, optimizer, ids):\n    model(ids[:, :-1], ids[:, 1:]).backward()\n    optimizer.step()"
    inside(step)(model, optimizer, ids)
    other = GPT(model.config)
    other.load_state_dict(before)
    other(ids[:, :-1], ids[:, 1:]).backward()
    torch.optim.SGD(other.parameters(), lr=0.1).step()
    assert all(torch.allclose(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert torch.allclose(model.embedding.weight.grad, other.embedding.weight.grad)


def test_tokenisers_and_batches_can_be_given(inside):
    tokenizer = train_byte_pairs("a small text, a small text, and a small one", 270)
    assert inside("def f(t, text): return t.encode(text)")(tokenizer, "a small") == tokenizer.encode("a small")
    batches = Batches(Tokens(np.arange(90), 90, np.arange(0, 90, 9)), 4, 2, seed=1)
    assert torch.equal(inside("def f(batches): return batches.batch(3)")(batches), batches.batch(3))


def test_objects_stay_and_can_be_used(inside):
    made = "from torch import nn\nclass Double(nn.Module):\n    width = 3\n    def forward(self, x): return 2 * x"
    double = inside(made, "Double")()
    assert isinstance(double, StandIn)
    assert isinstance(double, nn.Module)
    assert double.width == 3
    assert double(torch.ones(2)).tolist() == [2, 2]
    double.load_state_dict({})


def test_generators_and_lists_of_objects_can_be_read(inside):
    f = inside("class A:\n    pass\ndef f():\n    yield 1\n    yield [A(), 2]")
    first, (thing, second) = f()
    assert (first, second, type(thing).__name__) == (1, 2, "A")
    assert isinstance(thing, StandIn)


def test_objects_of_the_course_are_of_their_class(inside):
    perceptron = inside("from minigpt.perceptron import Perceptron\ndef f(): return Perceptron(2)")()
    assert isinstance(perceptron, Perceptron)
    assert perceptron(np.array([[1.0, 0.0]])).tolist() == [-1]


# Errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError, IndexError, MinigptError])
def test_known_errors_are_raised_here(inside, error):
    where = "from minigpt.errors import MinigptError\n"
    with pytest.raises(error, match="why"):
        inside(f"{where}def f(): raise {error.__name__}('why')")()


def test_an_empty_stub_is_told_from_an_operation_that_is_missing(inside):
    with pytest.raises(NotImplementedError) as caught:
        inside("def f(): raise NotImplementedError")()
    assert caught.value.args == ()


@pytest.mark.parametrize(
    "source",
    [
        "def f(): raise SystemExit(0)",
        "import sys\ndef f(): sys.exit()",
        "def f(): raise KeyboardInterrupt",
        "class Evil(BaseException):\n    def __str__(self): raise SystemExit\ndef f(): raise Evil",
        "class A:\n    @property\n    def __class__(self): raise SystemExit\ndef f(): return A()",
    ],
)
def test_leaving_is_an_error_like_others(inside, source):
    with pytest.raises(Exception, match=r".*") as caught:
        inside(source)()
    assert isinstance(caught.value, Exception)


def test_a_result_that_compares_by_leaving_harms_nobody(inside):
    thing = inside("class A:\n    def __eq__(self, other): raise SystemExit\ndef f(): return A()")()
    assert thing != 3


# Attacks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "os._exit(0)",
        "os.kill(os.getpid(), 9)",
        "import ctypes; ctypes.string_at(0)",
        "os.close(3); os.closerange(0, 99)",
    ],
)
def test_an_end_of_the_process_is_told_and_undone(sandbox, body):
    with sandbox.branch():
        sandbox.run(f"import os\ndef f():\n    {body}")
        with pytest.raises(Stopped):
            sandbox.look("f")()
    if sandbox.process.poll() is None:
        assert sandbox.run("x = 3") is not None


def attack(source: str, seconds: float = 1) -> str:
    """What is told of an attack, in a sandbox of its own."""
    with Sandbox(Limits(seconds=seconds)) as sandbox:
        try:
            sandbox.run(source)
            with sandbox.time_limit():
                return f"it returned {sandbox.look('f')()}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    "source", ["def f():\n    while True: pass", "import time\ndef f(): time.sleep(99)", "def f(): return 9**9**9"]
)
def test_an_endless_loop_is_stopped(source):
    assert "longer than 1 seconds" in attack(source)


@pytest.mark.parametrize("source", ["def f(): return bytearray(1 << 33)", "def f(): return 'x' * (1 << 33)"])
def test_a_memory_bomb_is_stopped(source):
    assert "MemoryError" in attack(source)


def test_a_fork_bomb_is_stopped():
    told = attack("import os\ndef f():\n    while True: os.fork()", seconds=5)
    assert "processes" in told or "longer than" in told


def test_nothing_is_left_open():
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None
    for source in ("", "import os; os._exit(1)"):
        with Sandbox() as sandbox, contextlib.suppress(Stopped):
            sandbox.run(source)
        assert sandbox.process.stdin.closed
        assert sandbox.process.stdout.closed
    assert before is None or len(os.listdir("/proc/self/fd")) == before


def test_a_flood_of_output_goes_nowhere(capfd):
    assert "returned 3" in attack("def f():\n    print('x' * 30_000_000)\n    return 3", seconds=5)
    assert capfd.readouterr().out == ""


def test_a_flood_into_the_pipe_is_stopped():
    flood = "import os\ndef f():\n    for n in range(3, 20):\n        try: os.write(n, bytes([255]) * 4096)\n"
    flood += "        except OSError: pass"
    assert "Stopped" in attack(flood)


def test_a_huge_result_is_stopped():
    told = attack("import torch\ndef f(): return torch.zeros(1 << 28, dtype=torch.uint8)", seconds=20)
    assert "too large" in told or "MemoryError" in told


def test_patches_inside_stay_inside(inside):
    inside(
        "import torch\ntorch.allclose = lambda *a, **k: True\ntorch.Tensor.__eq__ = lambda *a: True\ndef f(): pass"
    )()
    assert not torch.allclose(torch.zeros(2), torch.ones(2))


def test_neither_the_check_nor_its_frames_can_be_seen(inside):
    look = "import inspect, sys\ndef f(): return [frame.filename for frame in inspect.stack()]"
    assert not any("sandbox.py" in name or "grading" in name for name in inside(look)())


@inside_walls
def test_there_is_no_network():
    told = attack("import socket\ndef f(): return socket.create_connection(('192.0.2.1', 80), 0.5)")
    assert "OSError" in told or "Unreachable" in told or "unreachable" in told


@inside_walls
@pytest.mark.parametrize("hidden", ["tests/solutions", "notebooks/03_attention.ipynb", "README.md", ".git"])
def test_solutions_and_notebooks_cannot_be_seen(hidden):
    assert (ROOT / hidden).exists() or hidden == ".git"
    assert attack(f"import os\ndef f(): return os.path.exists({str(ROOT / hidden)!r})") == "it returned False"


@inside_walls
def test_files_outside_can_neither_be_seen_nor_removed(tmp_path):
    secret = tmp_path / "grades.csv"
    secret.write_text("A")
    told = attack(f"import os\ndef f(): os.remove({str(secret)!r})")
    assert "FileNotFoundError" in told
    told = attack("import minigpt, os\ndef f(): os.remove(minigpt.__file__)")
    assert "OSError" in told or "PermissionError" in told
    assert secret.read_text() == "A"
    assert Path(ROOT / "minigpt" / "__init__.py").exists()


@inside_walls
def test_other_processes_cannot_be_seen():
    assert attack("import os\ndef f(): return len([n for n in os.listdir('/proc') if n.isdigit()]) < 9").endswith(
        "True"
    )


def test_what_it_wrote_is_gone(tmp_path):
    with Sandbox() as sandbox:
        sandbox.run("open('left.txt', 'w').write('x')")
        folder = sandbox.folder.name
    assert not Path(folder).exists()
    assert not (ROOT / "notebooks" / "left.txt").exists()


def test_without_bubblewrap_one_sentence_says_what_is_missing(monkeypatch):
    from minigpt import sandbox

    monkeypatch.setattr(shutil, "which", lambda name: None)
    sandbox.walls.cache_clear()
    try:
        assert "install it" in sandbox.missing_protection()
        assert "returned 3" in attack("def f(): return 3")
    finally:
        sandbox.walls.cache_clear()
