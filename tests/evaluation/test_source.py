from hf_select.evaluation.source import bound_names, definitions, free_names, imports, parse, used_names


def test_free_names_are_what_a_program_expects_to_be_given():
    assert free_names("assert f(x) == len([y for y in z])") == {"f", "x", "z"}
    assert free_names("import sys\ndef g(a, *b, **c): return a, b, c, sys\nassert g(h)") == {"h"}
    assert free_names("try:\n    f()\nexcept KeyError as error:\n    print(error)") == {"f"}
    assert free_names("with open('a') as file:\n    file.read()\nfor i in range(3):\n    i") == set()
    assert free_names("a b") == free_names("def") == set()


def test_bound_and_used_names():
    (statement,) = parse("a, b.c = d, e").body
    assert bound_names(statement) == {"a"}
    assert used_names(statement) == {"b", "d", "e"}
    (statement,) = parse("import os.path, json as j").body
    assert bound_names(statement) == {"os", "j"}
    (statement,) = parse("def f(x):\n    y = 1").body
    assert bound_names(statement) == {"f"}


def test_definitions_and_imports_stand_at_the_top():
    source = "import sys\nfrom math import pi as p, e\nclass A:\n    import os\n    def g(self): pass\ndef f(): pass"
    assert sorted(definitions(source)) == ["A", "f"]
    assert imports(source) == {
        "sys": "import sys",
        "p": "from math import pi as p, e",
        "e": "from math import pi as p, e",
    }
    assert definitions("def f(:") == imports("def f(:") == {}


def test_parse_is_silent():
    assert parse("'\\d'") is not None  # an invalid escape warns, and warnings are errors here
    assert parse("(" * 1000) is None
    assert parse("a\0b") is None
