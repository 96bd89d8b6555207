"""Which call did it? Calls that interleave, commands, people, sub-agents and sessions that share a server."""

from tests.golden.scenario import scenario
from tests.matrix.client import SESSION, Client
from tests.matrix.servers import PYTHON, PYTHON_FIX

OTHER = "ses_2"


def read_broken(client: Client) -> None:
    client.write_file("cart.py", PYTHON)
    client.ask("Mend it")
    client.read("cart.py")
    client.settle()


@scenario("ty", expected="bash: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1")
def what_sed_wrote_belongs_to_the_command_once_the_file_is_read(client: Client) -> None:
    read_broken(client)
    client.bash("sed -i s/prizes/prices/ cart.py")
    client.read("cart.py")
    client.settle()
    client.finish()


# The server saw one change from the first text to the last: whose line it is says who mended it, and who left it.
@scenario("ty", expected="bash: -1 (fix) +0 =1\n edit: -1 (fix) +0 =0\n turn: 2 -2 +0 -> 0")
def what_sed_wrote_is_told_apart_from_the_edit_that_follows_unread(client: Client) -> None:
    read_broken(client)
    client.bash("sed -i s/prizes/prices/ cart.py")
    client.edit("cart.py", "missing", "3")
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -1 (fix) +0 =0\n turn: 2 -1 +0 -> 0, others -1 +0", others_net={SESSION: -1})
def what_a_person_mended_between_two_calls_is_not_the_agents(client: Client) -> None:
    read_broken(client)
    client.write_file("cart.py", PYTHON.replace("prizes", "prices"))
    client.read("cart.py")
    client.settle()
    client.edit("cart.py", "missing", "3")
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -1 (fix) +0 =2\n turn: 2 -1 +0 -> 2, others -0 +1", others_net={SESSION: 1})
def what_a_person_broke_unseen_is_not_charged_to_the_edit_that_showed_it(client: Client) -> None:
    read_broken(client)
    client.write_file("cart.py", f"{PYTHON}worse: int = absent\n")
    client.edit("cart.py", *PYTHON_FIX)
    client.settle()
    client.finish()


@scenario(
    "ty",
    expected={
        SESSION: "task: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1",
        f"{SESSION}_sub": "edit: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1",
    },
)
def what_a_sub_agent_mended_counts_for_the_task_and_for_itself(client: Client) -> None:
    read_broken(client)

    def work(session: str) -> None:
        client.read("cart.py", session=session)
        client.edit("cart.py", *PYTHON_FIX, session=session)
        client.settle()

    client.task("Mend the first error", work)
    client.finish()


@scenario(
    "ty",
    expected={
        SESSION: "edit: -1 (fix) +0 =0\n turn: 2 -1 +0 -> 0, others -1 +0",
        OTHER: "edit: -1 (fix) +0 =0\n turn: 2 -1 +0 -> 1",
    },
    others_net={SESSION: -1},
)
def two_sessions_that_share_a_server_are_each_credited_with_their_own(client: Client) -> None:
    client.write_file("cart.py", "print(prizes)\n")
    client.write_file("shop.py", "print(missing)\n")
    client.ask("Mend the cart")
    client.read("cart.py")
    client.settle()
    client.ask("Mend the shop", session=OTHER)
    client.read("shop.py", session=OTHER)
    client.settle()
    client.edit("shop.py", "missing", "1", session=OTHER)
    client.settle()
    client.finish(session=OTHER)
    client.edit("cart.py", "prizes", "2")
    client.settle()
    client.finish()


@scenario("pyright", expected="edit: -1 (fix) +0 =0\n edit: -1 (fix) +0 =0\n turn: 2 -2 +0 -> 0")
def parallel_edits_of_two_files_are_each_credited_with_their_own(client: Client) -> None:
    client.write_file("cart.py", "print(prizes)\n")
    client.write_file("shop.py", "print(missing)\n")
    client.ask("Mend both")
    client.read("cart.py")
    client.read("shop.py")
    client.settle()
    client.parallel(("cart.py", "prizes", "1"), ("shop.py", "missing", "2"))
    client.settle()
    client.finish()


@scenario("pyright", expected="edit: -1 (fix) +0 =1\n edit: -1 (fix) +0 =0\n turn: 2 -2 +0 -> 0")
def parallel_edits_of_one_file_are_each_credited_with_their_own(client: Client) -> None:
    client.write_file("cart.py", "print(prizes)\n\n\nprint(missing)\n")
    client.ask("Mend both")
    client.read("cart.py")
    client.settle()
    client.parallel(("cart.py", "prizes", "1"), ("cart.py", "missing", "2"))
    client.settle()
    client.finish()


@scenario("ty", expected="edit: failed\n edit: -1 (fix) +0 =1\n turn: 2 -1 +0 -> 1")
def a_call_that_failed_changes_nothing(client: Client) -> None:
    read_broken(client)
    client.edit("cart.py", "no such text anywhere", "")
    client.edit("cart.py", *PYTHON_FIX)
    client.settle()
    client.finish()


@scenario(
    "ty",
    expected="""edit: -1 (fix) +0 =1
                turn: 2 -1 +0 -> 1
                edit: -0 +1 =1
                turn: 1 -0 +1 -> 2""",
)
def every_turn_starts_where_the_one_before_it_ended(client: Client) -> None:
    read_broken(client)
    client.edit("cart.py", *PYTHON_FIX)
    client.settle()
    client.finish()
    client.ask("And now break it")
    client.edit("cart.py", "other:", "worse: int = absent\nother:")
    client.settle()
    client.finish()
