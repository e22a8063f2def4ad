from tests.docs.block import Block, blocks

PAGE = """text
```python
a = 1
```
<!-- not run: needs a GPU -->
```sh
run --all \\
    it  # now
# nothing

make
```
```
not code
```
```bash
run | head
```
"""


def test_blocks_come_in_order_with_their_reason():
    assert blocks(PAGE) == [
        Block("python", "a = 1\n", ""),
        Block("sh", "run --all \\\n    it  # now\n# nothing\n\nmake\n", "needs a GPU"),
        Block("", "not code\n", ""),
        Block("sh", "run | head\n", ""),
    ]


def test_a_command_line_may_go_on_in_the_next_one():
    assert blocks(PAGE)[1].commands == [["run", "--all", "it"], ["make"]]


def test_pipes_need_a_shell():
    assert [block.needs_a_shell for block in blocks(PAGE)] == [False, False, False, True]
    assert Block("sh", "source <(run it)\n", "").needs_a_shell
    assert Block("sh", "run > out\n", "").needs_a_shell
