"""How was it cleared? By a fix, by silencing the checker, or by deleting the code."""

from tests.golden.scenario import scenario
from tests.matrix.client import Client
from tests.matrix.servers import PYTHON, PYTHON_FIX

TYPESCRIPT = "export const one: number = 'x'\nexport const two: number = 'y'\nexport const three: number = 'z'\n"


def read_broken(client: Client, name: str, text: str, quiet_s: float = 0.4) -> None:
    client.write_file(name, text)
    client.ask("No errors, please")
    client.read(name)
    client.settle(quiet_s=quiet_s)


@scenario("ty", expected="edit: -1 (fix) +0 =1\n edit: -1 (deletion) +0 =0\n turn: 2 -2 +0 -> 0")
def a_fix_and_a_deletion_are_told_apart(client: Client) -> None:
    read_broken(client, "cart.py", PYTHON)
    client.edit("cart.py", *PYTHON_FIX)
    client.settle()
    client.edit("cart.py", "\n\n\nother: int = missing\n", "\n")
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -1 (deletion) +0 =1\n turn: 2 -1 +0 -> 1")
def a_body_that_became_pass_is_a_deletion(client: Client) -> None:
    read_broken(client, "cart.py", PYTHON.replace(" -> int", ""))
    client.edit("cart.py", "    return sum(prizes)\n", "    pass\n")
    client.settle()
    client.finish()


@scenario("ty", expected="edit: -1 (deletion) +0 =1\n turn: 2 -1 +0 -> 1")
def a_line_that_was_commented_out_is_a_deletion(client: Client) -> None:
    read_broken(client, "cart.py", PYTHON)
    client.edit("cart.py", "other: int = missing", "# other: int = missing")
    client.settle()
    client.finish()


@scenario("pyright", expected="edit: -1 (suppression) +0 =1\n edit: -1 (suppression) +0 =0\n turn: 2 -2 +0 -> 0")
def type_ignore_and_pyright_ignore_are_suppressions(client: Client) -> None:
    read_broken(client, "cart.py", "print(prizes)\nprint(missing)\n")
    client.edit("cart.py", "print(prizes)", "print(prizes)  # type: ignore")
    client.settle()
    client.edit("cart.py", "print(missing)", "print(missing)  # pyright: ignore[reportUndefinedVariable]")
    client.settle()
    client.finish()


@scenario("pyright", expected="edit: -2 (suppression, suppression) +0 =0\n turn: 2 -2 +0 -> 0")
def a_comment_for_the_whole_file_silences_all_of_it(client: Client) -> None:
    read_broken(client, "cart.py", "print(prizes)\nprint(missing)\n")
    client.edit("cart.py", "print(prizes)", "# pyright: reportUndefinedVariable=false\nprint(prizes)")
    client.settle()
    client.finish()


@scenario("ruff", expected="edit: -1 (suppression) +0 =1\n turn: 2 -1 +0 -> 1")
def noqa_is_a_suppression(client: Client) -> None:
    read_broken(client, "cart.py", PYTHON)
    client.edit("cart.py", "missing", "missing  # noqa: F821")
    client.settle()
    client.finish()


@scenario(
    "typescript",
    expected="edit: -1 (suppression) +0 =2\n edit: -1 (suppression) +0 =1\n edit: -1 (fix) +0 =0\n turn: 3 -3 +0 -> 0",
)
def ts_ignore_and_ts_expect_error_are_suppressions(client: Client) -> None:
    client.write_file("tsconfig.json", '{"compilerOptions": {"strict": true}, "include": ["*.ts"]}\n')
    read_broken(client, "cart.ts", TYPESCRIPT, 1)
    client.edit("cart.ts", "export const one", "// @ts-ignore\nexport const one")
    client.settle(quiet_s=1)
    client.edit("cart.ts", "export const two", "// @ts-expect-error\nexport const two")
    client.settle(quiet_s=1)
    client.edit("cart.ts", "'z'", "3")
    client.settle(quiet_s=1)
    client.finish()


@scenario("typescript", expected="edit: -1 (suppression) +0 =0\n turn: 1 -1 +0 -> 0")
def a_loosened_tsconfig_is_a_suppression(client: Client) -> None:
    client.write_file("tsconfig.json", '{"compilerOptions": {"strict": true}, "include": ["*.ts"]}\n')
    read_broken(client, "cart.ts", "export function total(prices) {\n  return prices.length\n}\n", 1)
    client.edit("tsconfig.json", '"strict": true', '"strict": false')
    client.read("cart.ts")
    client.settle(quiet_s=2)
    client.finish()


@scenario("oxlint", expected="edit: -1 (suppression) +0 =1\n edit: -1 (suppression) +0 =0\n turn: 2 -2 +0 -> 0")
def eslint_disable_and_oxlint_disable_are_suppressions(client: Client) -> None:
    client.write_file(".oxlintrc.json", '{"categories": {"correctness": "error"}}\n')
    read_broken(client, "cart.js", "debugger;\nexport const other = 1 === NaN;\n")
    client.edit("cart.js", "debugger;", "debugger; // eslint-disable-line no-debugger")
    client.settle()
    client.edit("cart.js", "export const", "// oxlint-disable-next-line use-isnan\nexport const")
    client.settle()
    client.finish()


@scenario("biome", expected="edit: -1 (suppression) +0 =0\n turn: 1 -1 +0 -> 0")
def biome_ignore_is_a_suppression(client: Client) -> None:
    client.write_file("biome.json", "{}\n")
    read_broken(client, "cart.js", "export const other = total() == 1;\nfunction total() {\n  return 1;\n}\n")
    client.edit("cart.js", "export const", "// biome-ignore lint/suspicious/noDoubleEquals: meant\nexport const")
    client.settle()
    client.finish()


@scenario("clangd", expected="edit: -1 (suppression) +0 =1\n turn: 2 -1 +0 -> 1")
def a_pragma_is_a_suppression(client: Client) -> None:
    client.write_file("compile_flags.txt", "-Wall\n-Werror=unused-value\n")
    read_broken(client, "cart.cpp", "void other(int price) {\n  price + 1;\n}\n\nint total = missing;\n")
    client.edit("cart.cpp", "void other", '#pragma clang diagnostic ignored "-Wunused-value"\nvoid other')
    client.settle()
    client.finish()


@scenario("clangd-tidy", expected="edit: -1 (suppression) +0 =0\n turn: 1 -1 +0 -> 0")
def nolint_is_a_suppression(client: Client) -> None:
    client.write_file(".clang-tidy", "Checks: '-*,bugprone-sizeof-expression'\nWarningsAsErrors: '*'\n")
    read_broken(client, "cart.cpp", "int size() {\n  return sizeof(42);\n}\n")
    client.edit("cart.cpp", "sizeof(42);", "sizeof(42); // NOLINT")
    client.settle()
    client.finish()


@scenario("bash", expected="edit: -1 (suppression) +0 =1\n turn: 2 -1 +0 -> 1")
def shellcheck_disable_is_a_suppression(client: Client) -> None:
    read_broken(client, "cart.sh", "#!/bin/bash\nrm $@\nmv $@\n", 1)
    client.edit("cart.sh", "mv $@", "# shellcheck disable=SC2068\nmv $@")
    client.settle(quiet_s=1)
    client.finish()


# pyright reads its configuration when it starts, and is told of no change to it: the next one shows what was done.
@scenario(
    "pyright",
    expected="edit: -2 (suppression, suppression) +0 =0\n turn: 2 -2 +0 -> 0\n turn: 0 -0 +0 -> 0",
)
def a_loosened_pyrightconfig_shows_when_the_server_starts_again(client: Client) -> None:
    client.write_file("pyrightconfig.json", '{"reportUndefinedVariable": "error"}\n')
    read_broken(client, "cart.py", PYTHON)
    client.edit("pyrightconfig.json", '"error"', '"none"')
    client.settle()
    client.finish()
    client.close_servers()
    with Client(client.root, client.servers, pid=client.pid + 1) as later:
        later.ask("And now?")
        later.read("cart.py")
        later.settle()
        later.finish()
