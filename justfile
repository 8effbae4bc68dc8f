# Make .venv with the library in place, the tests' and the developers' tools.
setup:
    python3 -m venv .venv && .venv/bin/pip install --upgrade 'pip>=25.1'
    .venv/bin/pip install -e '.[test]' --group dev

# For example: just test tests/test_storage.py -k damaged
test *arguments:
    .venv/bin/python -m pytest {{arguments}}

# Style, format and types; changes nothing.
lint:
    .venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/mypy

# The speed table, written to benchmarks/results/.
bench *arguments:
    .venv/bin/python benchmarks/speed.py {{arguments}}

# The pages, in docs/_build/index.html; a warning or a link that leads nowhere is an error.
docs:
    .venv/bin/pip install --quiet -e '.[docs]'
    .venv/bin/python -m sphinx --fail-on-warning --keep-going --jobs 2 --quiet docs docs/_build && .venv/bin/python docs/_links.py docs/_build

# The source archive and the wheel, in dist/.
build:
    .venv/bin/python -m build
