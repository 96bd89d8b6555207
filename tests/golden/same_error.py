"""Is it the same error? Lines that move, blocks that are indented, names that change, code that goes elsewhere."""

from tests.golden.scenario import scenario
from tests.matrix.client import Client
from tests.matrix.servers import PYTHON, PYTHON_FIX, PYTHON_SHIFT

THREE_FUNCTIONS = ("def first():\n    return prizes\n", "def second():\n    return 2\n", "def third():\n    return 3\n")


@scenario("ty", expected="edit: -0 +0 =2\n turn: 2 -0 +0 -> 2")
def lines_inserted_above_move_an_error(client: Client) -> None:
    client.write_file("cart.py", PYTHON)
    client.ask("Say what it is for")
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", *PYTHON_SHIFT)
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -0 +0 =2\n turn: 2 -0 +0 -> 2")
def lines_deleted_above_move_an_error(client: Client) -> None:
    client.write_file("cart.py", f"import os\n\n\nprint(os.name)\n\n\n{PYTHON}")
    client.ask("Nobody needs os")
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", "import os\n\n\nprint(os.name)\n\n\n", "")
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -0 +0 =1\n turn: 1 -0 +0 -> 1")
def a_block_that_is_indented_keeps_its_error(client: Client) -> None:
    client.write_file("cart.py", "import os\n\nprint(prizes)\nprint(os.name)\n")
    client.ask("Only where there is a name")
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", "print(prizes)\nprint(os.name)\n", "if os.name:\n    print(prizes)\n    print(os.name)\n")
    client.settle()
    client.finish()


@scenario("basedpyright", expected="edit: -0 +0 =1\n turn: 1 -0 +0 -> 1")
def a_renamed_class_in_the_message_is_the_same_error(client: Client) -> None:
    client.write_file("cart.py", "class Cart:\n    pass\n\n\ncart = Cart()\ncart.add()\n")
    client.ask("Call it a basket")
    client.read("cart.py")
    client.settle()
    client.edit(
        "cart.py",
        "class Cart:\n    pass\n\n\ncart = Cart()\ncart.add()\n",
        "class Basket:\n    pass\n\n\nbasket = Basket()\nbasket.add()\n",
    )
    client.settle()
    client.finish()


@scenario("ty", expected="write: -0 +0 =1\n turn: 1 -0 +0 -> 1")
def a_function_that_is_moved_takes_its_error_along(client: Client) -> None:
    first, second, third = THREE_FUNCTIONS
    client.write_file("cart.py", f"{first}\n\n{second}\n\n{third}")
    client.ask("The first goes last")
    client.read("cart.py")
    client.settle()
    client.write("cart.py", f"{second}\n\n{third}\n\n{first}")
    client.settle()
    client.finish()


# Each edit against the state before it: the error goes with the code, and comes with it. The turn knows better.
@scenario("ty", expected="edit: -1 (deletion) +0 =0\n edit: -0 +1 =0\n turn: 1 -0 +0 -> 1")
def a_function_that_is_cut_and_then_pasted_keeps_its_error_over_the_turn(client: Client) -> None:
    first, second, third = THREE_FUNCTIONS
    client.write_file("cart.py", f"{first}\n\n{second}\n\n{third}")
    client.ask("The first goes last")
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", f"{first}\n\n", "")
    client.settle()
    client.edit("cart.py", third, f"{third}\n\n{first}")
    client.settle()
    client.finish()


@scenario("oxlint", expected="edit: -1 (deletion) +0 =2\n edit: -0 +1 =2\n turn: 3 -0 +0 -> 3")
def identical_errors_on_identical_lines_are_counted_one_by_one(client: Client) -> None:
    client.write_file(".oxlintrc.json", '{"categories": {"correctness": "error"}}\n')
    client.write_file("cart.js", "debugger;\ndebugger;\ndebugger;\n")
    client.ask("One less, and one more")
    client.read("cart.js")
    client.settle()
    client.edit("cart.js", "debugger;\n", "")
    client.settle()
    client.edit("cart.js", "debugger;\n", "debugger;\ndebugger;\n")
    client.settle()
    client.finish()


@scenario("biome", expected="edit: -1 (fix) +0 =1\n edit: -0 +1 =1\n turn: 2 -1 +1 -> 2")
def a_mended_error_and_a_new_one_with_the_same_message_are_two(client: Client) -> None:
    client.write_file("biome.json", "{}\n")
    client.write_file("cart.js", "export const one = two() == 1;\n\nexport function two() {\n  return one == 2;\n}\n")
    client.ask("Compare strictly")
    client.read("cart.js")
    client.settle()
    client.edit("cart.js", "two() == 1", "two() === 1")
    client.settle()
    client.edit("cart.js", "export function", "export const three = one == 3;\n\nexport function")
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -0 +1 =2\n edit: -1 (deletion) +0 =2\n turn: 2 -0 +0 -> 2")
def an_error_introduced_and_removed_within_the_turn_is_neither(client: Client) -> None:
    client.write_file("cart.py", PYTHON)
    client.ask("Try something")
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", "other:", "worse: int = absent\nother:")
    client.settle()
    client.edit("cart.py", "worse: int = absent\n", "")
    client.settle()
    client.finish()


# While the syntax is broken, a server may say nothing else; what comes back with it was there all along.
@scenario("oxlint", expected="edit: -1 (fix) +1 =0\n edit: -1 (fix) +1 =0\n turn: 1 -0 +0 -> 1")
def errors_that_hide_behind_a_syntax_error_persist(client: Client) -> None:
    client.write_file(".oxlintrc.json", '{"categories": {"correctness": "error"}}\n')
    client.write_file("cart.js", "debugger;\nexport const one = 1;\n")
    client.ask("Break it, and mend it")
    client.read("cart.js")
    client.settle()
    client.edit("cart.js", "one = 1;", "one = ;")
    client.settle()
    client.edit("cart.js", "one = ;", "one = 1;")
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1")
def windows_line_ends_are_lines(client: Client) -> None:
    client.write_file("cart.py", PYTHON.replace("\n", "\r\n"))
    client.ask("Mend it")
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", *PYTHON_FIX)
    client.settle()
    client.finish()


# The servers count UTF-16 units: 😀 is two of them, and one column to us. (basedpyright also warns of an unknown type.)
@scenario("basedpyright", expected="edit: -0 +0 =1\n edit: -1 (fix) +0 =0, warnings -1 +0\n turn: 1 -1 +0 -> 0")
def astral_characters_before_an_error_are_one_column_each(client: Client) -> None:
    client.write_file("cart.py", 'print("😀😀", prizes)\n')
    client.ask("More smiles")
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", '"😀😀"', '"😀😀😀"')
    client.settle()
    client.edit("cart.py", "prizes", '"prizes"')
    client.settle()
    client.finish()


@scenario("ruff", expected="edit: -0 +0 =0, warnings -1 +0\n turn: 0 -0 +0 -> 0")
def warnings_are_counted_apart_from_errors(client: Client) -> None:
    client.write_file("cart.py", "import os\nimport sys\n\nprint(sys.path)\n")
    client.ask("Nobody needs os")
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", "import os\n", "")
    client.settle()
    client.finish()
