"""How sure are we? Servers that are late, silent, dead, restarted, or two."""

from tests.golden.scenario import scenario
from tests.matrix.client import Client
from tests.matrix.servers import PYTHON, PYTHON_FIX

CPP = "int total(int price) {\n  return prize;\n}\n\nint other = missing;\n"
CPP_FIX = "prize;", "price;"


def read_broken(client: Client, name: str, text: str) -> None:
    client.write_file(name, text)
    client.ask("Mend it")
    client.read(name)


@scenario("slow-clangd", expected="edit: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1")
def a_server_that_answers_after_seven_seconds_is_still_heard(client: Client) -> None:
    read_broken(client, "cart.cpp", CPP)
    client.settle()
    client.edit("cart.cpp", *CPP_FIX)
    client.finish()
    client.settle()


@scenario("slow-clangd", expected="edit: -0 +0 =2, stale\n turn: 2 -0 +0 -> 2, stale")
def an_answer_that_never_came_leaves_the_state_stale(client: Client) -> None:
    read_broken(client, "cart.cpp", CPP)
    client.settle()
    client.edit("cart.cpp", *CPP_FIX)
    client.finish()


@scenario("silent-clangd", expected="edit: unknown, timed-out, none\n turn: unknown, timed-out, none")
def a_server_that_never_answers_is_not_a_clean_file(client: Client) -> None:
    read_broken(client, "cart.cpp", CPP)
    client.wait_quiet(1)
    client.edit("cart.cpp", *CPP_FIX)
    client.finish()


@scenario("slow-clangd", expected="edit: -0 +0 =2, server-dead\n turn: 2 -0 +0 -> 2, server-dead")
def a_server_that_dies_before_it_answers_is_dead(client: Client) -> None:
    read_broken(client, "cart.cpp", CPP)
    client.settle()
    client.edit("cart.cpp", *CPP_FIX, wait=False)
    client.kill_server("slow-clangd")
    client.finish()


@scenario(
    "clangd",
    expected="""edit: -1 (fix) +0 =1
                edit: unknown, server-dead, none
                turn: 2 -1 +0 -> 1, server-dead""",
)
def a_server_that_dies_in_the_middle_of_a_turn_knows_nothing_of_what_follows(client: Client) -> None:
    read_broken(client, "cart.cpp", CPP)
    client.settle()
    client.edit("cart.cpp", *CPP_FIX)
    client.settle()
    client.kill_server("clangd")
    client.edit("cart.cpp", "missing", "3")
    client.finish()


@scenario("ty", expected="edit: -1 (fix) +0 =1\n edit: -1 (fix) +0 =0\n turn: 2 -2 +0 -> 0")
def a_restarted_server_goes_on_where_it_was(client: Client) -> None:
    read_broken(client, "cart.py", PYTHON)
    client.settle()
    client.edit("cart.py", *PYTHON_FIX)
    client.settle()
    client.stop_server("ty")
    client.edit("cart.py", "missing", "3")
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1\n edit: -1 (fix) +0 =0\n turn: 1 -1 +0 -> 0")
def a_session_that_is_continued_by_another_client_has_one_history(client: Client) -> None:
    read_broken(client, "cart.py", PYTHON)
    client.settle()
    client.edit("cart.py", *PYTHON_FIX)
    client.settle()
    client.finish()
    client.close_servers()
    with Client(client.root, client.servers, pid=client.pid + 1) as later:
        later.ask("Mend the rest")
        later.read("cart.py")
        later.settle()
        later.edit("cart.py", "missing", "3")
        later.settle()
        later.finish()


# basedpyright also warns of the unknown type.
@scenario("basedpyright", "ruff", expected="edit: -2 (fix, fix) +0 =2, warnings -1 +0\n turn: 4 -2 +0 -> 2")
def two_servers_on_one_file_have_two_findings(client: Client) -> None:
    read_broken(client, "cart.py", "print(prizes)\nprint(missing)\n")
    client.settle()
    client.edit("cart.py", "prizes", "1")
    client.settle()
    client.finish()


@scenario("ruff", expected="edit: -1 (fix) +0 =1\n edit: -0 +1 =1\n edit: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1")
def what_a_server_pushed_of_an_older_text_does_not_outlive_its_answer(client: Client) -> None:
    read_broken(client, "cart.py", PYTHON)
    client.settle()
    client.edit("cart.py", *PYTHON_FIX)
    client.settle()
    client.edit("cart.py", "other:", "worse: int = absent\nother:")
    client.settle()
    client.edit("cart.py", "absent", "3")
    client.settle()
    client.finish()


# The server waits half a second for quiet, and speaks of both edits at once: each is credited with its own lines.
@scenario("pylsp", expected="edit: -1 (fix) +0 =1\n edit: -1 (fix) +0 =0\n turn: 2 -2 +0 -> 0")
def two_edits_within_one_debounce_share_an_answer(client: Client) -> None:
    read_broken(client, "cart.py", PYTHON)
    client.settle()
    client.edit("cart.py", *PYTHON_FIX, wait=False)
    client.edit("cart.py", "missing", "3", wait=False)
    client.settle(quiet_s=1)
    client.finish()


# typescript-language-server publishes nothing when there was nothing and is nothing: nobody can tell that from silence.
@scenario("typescript", expected="edit: -0 +0 =0, stale\n turn: 0 -0 +0 -> 0, stale")
def a_clean_file_that_stays_clean_without_a_word_is_stale(client: Client) -> None:
    client.write_file("tsconfig.json", '{"compilerOptions": {"strict": true}, "include": ["*.ts"]}\n')
    read_broken(client, "cart.ts", "export const total = 1\n")
    client.settle(quiet_s=1)
    client.edit("cart.ts", "= 1", "= 2")
    client.wait_quiet(2)
    client.finish()
