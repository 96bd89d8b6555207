"""Which text was before, which after? New files, unread files, other files, files under another name."""

from tests.golden.scenario import scenario
from tests.matrix.client import Client
from tests.matrix.servers import PYTHON, PYTHON_FIX


@scenario("ty", expected="write: -0 +1 =0\n turn: 0 -0 +1 -> 1")
def a_new_file_has_a_known_empty_before(client: Client) -> None:
    client.ask("Write a cart")
    client.write("cart.py", "print(prizes)\n")
    client.settle()
    client.finish()


@scenario("ty", expected="write: unknown, none\n turn: unknown, none")
def a_file_written_over_unread_has_no_known_before(client: Client) -> None:
    client.write_file("cart.py", PYTHON)
    client.ask("Write a cart")
    client.write("cart.py", "print(prizes)\n")
    client.settle()
    client.finish()


@scenario("ty", expected="write: unknown, none\n edit: -1 (fix) +0 =0\n turn: unknown, none")
def a_later_edit_of_a_file_written_over_unread_is_known(client: Client) -> None:
    client.write_file("cart.py", PYTHON)
    client.ask("Write a cart")
    client.write("cart.py", "print(prizes)\n")
    client.settle()
    client.edit("cart.py", "prizes", "1")
    client.settle()
    client.finish()


@scenario("ty", expected="turn: 2 -0 +0 -> 2")
def a_document_that_is_read_again_unchanged_is_no_step(client: Client) -> None:
    client.write_file("cart.py", PYTHON)
    client.ask("Have a look")
    for _ in range(3):
        client.read("cart.py")
        client.settle()
    client.finish()


# Nothing but the read speaks of the first state: a pull server says it to the tap, whom the client never asked.
@scenario("json", expected="edit: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1")
def the_state_before_an_edit_is_known_from_the_read(client: Client) -> None:
    client.write_file("cart.json", '{\n  "name": ,\n  "price": 12,\n  "tax": ,\n  "sum": 13\n}\n')
    client.ask("Mend it")
    client.read("cart.json")
    client.settle()
    client.edit("cart.json", '"name": ,', '"name": "cart",')
    client.settle()
    client.finish()


@scenario("ty", expected="apply_patch: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1")
def a_renamed_file_takes_its_errors_along(client: Client) -> None:
    client.write_file("cart.py", PYTHON)
    client.ask("Call it basket, and mend it")
    client.read("cart.py")
    client.settle()
    client.move("cart.py", "basket.py", *PYTHON_FIX)
    client.settle()
    client.finish()


# basedpyright also warns: an unknown member, an unknown argument.
@scenario(
    "basedpyright",
    expected="edit: -0 +1 =0, warnings -0 +2\n edit: -1 (fix) +0 =0, warnings -2 +0\n turn: 0 -0 +0 -> 0",
)
def an_edit_that_breaks_another_file_counts_with_a_server_that_is_asked(client: Client) -> None:
    client.write_file("cart.py", "def total() -> int:\n    return 1\n")
    client.write_file("shop.py", "import cart\n\nprint(cart.total())\n")
    client.ask("Rename it")
    client.read("cart.py")
    client.read("shop.py")
    client.settle()
    client.edit("cart.py", "total", "sum_up")
    client.settle()
    client.edit("shop.py", "total", "sum_up")
    client.settle()
    client.finish()


# By then the client has asked for both files, without an identifier and with: what it heard then must not linger.
@scenario(
    "pyright",
    expected="""edit: -0 +0 =0
                edit: -0 +1 =0
                edit: -0 +0 =1
                edit: -1 (fix) +0 =0
                turn: 0 -0 +0 -> 0""",
)
def an_edit_that_mends_another_file_counts_with_a_server_that_is_asked_in_two_ways(client: Client) -> None:
    client.write_file("cart.py", "def total() -> int:\n    return 1\n")
    client.write_file("shop.py", "import cart\n\nprint(cart.total())\n")
    client.ask("Rename it, and do not")
    client.read("cart.py")
    client.read("shop.py")
    client.settle()
    client.edit("shop.py", "import cart\n", "import cart\n\n")
    client.settle()
    client.edit("cart.py", "total", "sum_up")
    client.settle()
    client.edit("shop.py", "\n\n\n", "\n\n")
    client.settle()
    client.edit("cart.py", "sum_up", "total")
    client.settle()
    client.finish()


@scenario("typescript", expected="edit: -0 +1 =1\n edit: -1 (fix) +0 =1\n turn: 1 -0 +0 -> 1")
def an_edit_that_breaks_another_file_counts_with_a_server_that_pushes(client: Client) -> None:
    client.write_file("tsconfig.json", '{"compilerOptions": {"strict": true}, "include": ["*.ts"]}\n')
    client.write_file("cart.ts", "export function total(): number {\n  return prizes\n}\n")
    client.write_file("shop.ts", "import * as cart from './cart'\n\nexport const sum = cart.total()\n")
    client.ask("Rename it")
    client.read("cart.ts")
    client.read("shop.ts")
    client.settle(quiet_s=1)
    client.edit("cart.ts", "total", "sumUp")
    client.settle(quiet_s=1)
    client.edit("cart.ts", "sumUp", "total")
    client.settle(quiet_s=1)
    client.finish()


# ty has nothing to say of files outside its project; pyright has.
@scenario("pyright", expected="edit: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1")
def a_file_outside_the_project_counts_when_the_server_is_told_of_it(client: Client) -> None:
    name = f"../{client.root.name}-lib/other.py"
    client.write_file(name, PYTHON)
    client.ask("Mend the library")
    client.read(name)
    client.settle()
    client.edit(name, *PYTHON_FIX)
    client.settle()
    client.finish()


@scenario("ty", expected="edit: unknown, no-server, none\n turn: unknown, no-server, none")
def a_file_that_no_server_is_for_is_not_a_clean_file(client: Client) -> None:
    client.write_file("notes.txt", "prizes\n")
    client.ask("Mend the notes")
    client.edit("notes.txt", *PYTHON_FIX)
    client.finish()
