"""check_docs.py setup|links|keys|messages|layers ROOT: what tests/cli/docs.bats checks in
the documentation below ROOT. Prints what is wrong; exit 1 then."""
import glob
import os
import re
import sys


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8") as file:
        return file.read()


def documents(root):
    names = glob.glob("*.md", root_dir=root) + glob.glob("docs/**/*.md", root_dir=root,
                                                         recursive=True)
    return sorted(names)


def without_code(text):
    """Fenced blocks and code spans taken out: brackets there are no links."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "`", text)


def anchors(text):
    """The anchors that headings get, as hosts of Markdown make them."""
    found = set()
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    for heading in re.findall(r"^#+ (.*)$", text, flags=re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        found.add(plain.replace(" ", "-"))
    return found


def check_setup(root):
    section = re.search(r"^## Set up\n(.*?)^## ", read(root, "README.md"), re.S | re.M)
    if not section:
        return ["README.md has no section 'Set up'"]
    blocks = re.findall(r"^```\w*\n(.*?)^```", section.group(1), re.S | re.M)
    want = ["scripts/quickstart\nscripts/test\n"]
    return [] if blocks == want else ["set-up blocks: %r, expected %r" % (blocks, want)]


def check_links(root):
    wrong = []
    for name in documents(root):
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code(read(root, name))):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            if not os.path.exists(os.path.join(root, full)):
                wrong.append("%s: %s does not exist" % (name, target))
            elif anchor and anchor not in anchors(read(root, full)):
                wrong.append("%s: %s has no such heading" % (name, target))
    return wrong


def check_keys(root):
    places = {"TOP": "Before the first section", "LOGGING": "`[logging]`",
              "TARGET": "`[targets.NAME]`", "POLICY": "`[policy]`",
              "SCHEDULER": "`[targets.NAME.local]` and `[targets.NAME.slurm]`"}
    want = {(places[scope], key) for scope, key in re.findall(
        r"^(?:KEY|REPX_ONLY)\((\w+), (\w+)", read(root, "src/config/config_keys.def"), re.M)}
    have, heading = set(), None
    for line in read(root, "docs/configuration.md").splitlines():
        if line.startswith("## "):
            heading = line[3:]
        row = re.match(r"\| `(\w+)` \|", line)
        if row:
            have.add((heading, row.group(1)))
    return (["configuration.md lacks %s in %s" % (k, s) for s, k in sorted(want - have)] +
            ["configuration.md has %s in %s, the table does not" % (k, s)
             for s, k in sorted(have - want, key=str)])


def check_messages(root):
    source = ""
    for name in (glob.glob("src/**/*.[ch]", root_dir=root, recursive=True) +
                 glob.glob("spank/*.[ch]", root_dir=root)):
        source += re.sub(r'"\s*\n\s*"', "", read(root, name)) + "\n"
    source = source.replace('\\"', '"')
    wrong, checked = [], 0
    for line in read(root, "docs/errors.md").partition("## Messages")[2].splitlines():
        row = re.match(r"\| `([^`]+)` \|", line)
        if not row:
            continue
        checked += 1
        for piece in row.group(1).replace("\\|", "|").split("\u2026"):
            if piece.strip() and piece not in source:
                wrong.append("no message has the text %r" % piece)
    return wrong if checked > 20 else wrong + ["only %d messages found" % checked]


def check_layers(root):
    want = re.findall(r"^repx_layer\((\w+)", read(root, "src/CMakeLists.txt"), re.M)
    section = read(root, "docs/architecture.md").partition("## Layers")[2].partition("\n## ")[0]
    have = re.findall(r"^\| `(\w+)` \|", section, re.M)
    return [] if have == want else ["layers: %s, in src/CMakeLists.txt: %s" % (have, want)]


def main():
    checks = {"setup": check_setup, "links": check_links, "keys": check_keys,
              "messages": check_messages, "layers": check_layers}
    wrong = checks[sys.argv[1]](sys.argv[2])
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
