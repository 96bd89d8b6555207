from __future__ import annotations

import pytest

from lsp_tap.redaction import Redactor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ada/shop/cart.py", "/home/user/shop/cart.py"),
        ("in /home/ada.", "in /home/user."),
        ("/Users/ada/shop", "/Users/user/shop"),
        (r"C:\Users\ada\shop", r"C:\Users\user\shop"),
        (r'"C:\\Users\\Ada Byron\\shop"', r'"C:\\Users\\user\\shop"'),
        ("c:/Users/ada/shop and /c/Users/ada", "c:/Users/user/shop and /c/Users/user"),
        ("/mnt/c/Users/ada/x", "/mnt/c/Users/user/x"),
        ("file:///home/ada/a%20b.py", "file:///home/user/a%20b.py"),
        ("file:///c%3A/Users/ada/x", "file:///c%3A/Users/user/x"),
        ("uri=file%3A%2F%2F%2Fhome%2Fada%2Fx", "uri=file%3A%2F%2F%2Fhome%2Fuser%2Fx"),
        ("a\\n/home/ada/x\\n", "a\\n/home/user/x\\n"),
        ("/home/ada/x /home/bob/x /home/ada", "/home/user/x /home/user2/x /home/user"),
        ("/home/josé/x", "/home/user/x"),
        ("/home/user/x /home/runner/work /Users/Shared", "/home/user/x /home/runner/work /Users/Shared"),
        ("app.get('/api/Users/list')", "app.get('/api/Users/list')"),
        ("/home/index.html", "/home/index.html"),
        ("home/ada is no path of the system", "home/ada is no path of the system"),
    ],
)
def test_home_folders(text: str, expected: str) -> None:
    redactor = Redactor()
    assert redactor.text(text) == expected
    assert Redactor().text(expected) == expected
    assert (redactor.report["home path"] > 0) == (text != expected)


def test_a_known_user_is_rewritten_in_paths_and_nowhere_else() -> None:
    redactor = Redactor(directories=["/home/ada/shop"])
    assert redactor.text("/data/ada/x ~ada/y -home-ada-shop file:///srv%2Fada%2Fz") == (
        "/data/user/x ~user/y -home-user-shop file:///srv%2Fuser%2Fz"
    )
    assert redactor.text("ada wrote /data/adamant in Ada") == "ada wrote /data/adamant in Ada"


def test_who_exports_is_known() -> None:
    redactor = Redactor(environment={"HOME": "/home/grace", "USER": "grace"})
    assert redactor.text("/scratch/grace/a") == "/scratch/user/a"


def test_keys_are_rewritten_too() -> None:
    assert Redactor().value({"/home/ada": 1, "/home/user": 2}) == {"/home/user": 1, "/home/user'": 2}
    assert Redactor().value({"/home/ada/a.py": [], "/home/bob/a.py": []}) == {
        "/home/user/a.py": [],
        "/home/user2/a.py": [],
    }
