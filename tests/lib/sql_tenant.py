#!/usr/bin/env python3
"""No statement touches a tenant's table without its tenant: a lint over the .sql files.

    sql_tenant.py [FILE...]     conf/sql/*.sql and daemon/*/*.sql without any

A tenant's table is one that a migration makes with a column tenant_id. Wherever a statement
reads, changes or deletes rows of one, the tenant must be in what picks the rows: WHERE, ON or
USING; what inserts must name the column. In functions that several migrations define only
the last definition counts. A statement that is meant for all tenants says why:

    -- tenant: every one's, for housekeeping

on a line of its own, before it or in it.
Functions of migrations that were released without such a line are listed in EVERYBODYS.

It reads SQL as far as it must: words, strings, parentheses. Each parenthesis that begins with
a query is a query of its own; what is asked of its tables may be said in it, or, for what it
joins (LATERAL, EXISTS), in the queries inside of it.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# name of a function: why it is for all tenants
EVERYBODYS = {
    "store_maintain": "housekeeping",
    "webhooks_maintain": "housekeeping, a webhook at a time",
    "ensure_partitions": "partitions are everybody's",
    "create_month": "partitions are everybody's",
    "consent_seal_due": "every tenant's entries are sealed, a tenant at a time",
}

QUERY = re.compile(r"\s*(select|with|insert|update|delete|values)\b")
# What ends a list of tables.
CLAUSE = re.compile(r"\b(select|from|using|where|group by|order by|having|limit|offset|"
                    r"returning|set|values|on conflict|union all|union|except|intersect|"
                    r"for update|for no key update|for share|window|into strict|into|loop)\b")
NOT_AN_ALIAS = {"on", "using", "where", "cross", "left", "right", "inner", "full", "join",
                "natural", "set", "as", "order", "group", "limit", "for", "returning", "loop",
                "offset", "with", "tablesample", "values", "select", "default"}


def tenants_tables(texts):
    """Names of the tables that are made with a column tenant_id."""
    found = set()
    for text in texts:
        for match in re.finditer(r"create table (?:if not exists )?(\w+) \(", text):
            body = text[match.end():Query.matching(text, match.end() - 1)]
            if re.search(r"^\s*tenant_id\b", body, re.M):
                found.add(match[1])
    return found


def clean(sql):
    """Lower case, without comments and contents of strings; `-- tenant:` becomes a word."""
    sql = re.sub(r"--\s*tenant:[^\n]*", " everybodys__ ", sql)
    sql = re.sub(r"--[^\n]*", " ", sql)
    sql = re.sub(r"'(?:[^']|'')*'", "''", sql)
    return re.sub(r"\bdistinct from\b", "distinct_from", sql.lower())


def statements(body):
    """Split at semicolons outside of parentheses."""
    depth, start = 0, 0
    for at, char in enumerate(body):
        depth += (char == "(") - (char == ")")
        if char == ";" and depth == 0:
            yield body[start:at]
            start = at + 1
    yield body[start:]


class Query:
    """Text of a query with `(#n)` where others stood, and those."""

    def __init__(self, text, inner=None):
        if inner is not None:
            self.text, self.inner = text, inner
            return
        self.text, self.inner = "", []
        at = 0
        while at < len(text):
            if text[at] == "(" and QUERY.match(text, at + 1):
                end = self.matching(text, at)
                self.text += f"(#{len(self.inner)})"
                self.inner.append(Query(text[at + 1:end]))
                at = end + 1
            else:
                self.text += text[at]
                at += 1

    @staticmethod
    def matching(text, at):
        depth = 0
        for n in range(at, len(text)):
            depth += (text[n] == "(") - (text[n] == ")")
            if depth == 0:
                return n
        return len(text)

    def branches(self):
        """What UNION and the like put together, each by itself."""
        parts = re.split(r"\b(?:union all|union|except|intersect)\b", self.text)
        if len(parts) == 1:
            return [self]
        return [Query(part, [self.inner[int(n)] for n in re.findall(r"\(#(\d+)\)", part)])
                for part in parts]

    def clauses(self):
        """[(keyword, text up to the next)]; before the first there is ''."""
        parts, word, start = [], "", 0
        for match in CLAUSE.finditer(self.text):
            parts.append((word, self.text[start:match.start()]))
            word, start = match[1], match.end()
        return parts + [(word, self.text[start:])]

    def picks(self):
        """All that picks rows, here and in the queries inside."""
        own = " ".join(text for word, text in self.clauses()
                       if word in ("from", "using", "where", "having", "on conflict"))
        return own + " " + " ".join(q.picks() for q in self.inner)

    def tables(self):
        """[(table, alias)] that it reads or changes; of an INSERT, the others only."""
        found = []
        for word, text in self.clauses():
            if word in ("from", "using"):
                for item in re.split(r",|\bjoin\b", self.without_lists(text)):
                    found.append(self.reference(item))
        update = re.search(r"\bupdate\s+(?:only\s+)?(\w+)(?:\s+(?:as\s+)?(\w+))?\s+set\b",
                           self.text)
        if update and not re.search(r"\bdo\s+update\s+set$", self.text[:update.end()]):
            found.append((update[1], update[2] or update[1]))
        return [f for f in found if f]

    @staticmethod
    def without_lists(text):
        """Arguments of functions and names of columns go."""
        before = None
        while before != text:
            before, text = text, re.sub(r"\([^()]+\)", "()", text)
        return text

    @staticmethod
    def reference(item):
        words = re.findall(r"[\w.]+|\(", item)
        while words and words[0] in ("left", "right", "inner", "full", "cross", "lateral",
                                     "only", "outer"):
            words.pop(0)
        if not words or words[0] == "(" or words[1:2] == ["("]:
            return None  # a query, or a function
        rest = [w for w in words[1:] if w not in ("as", "(")]
        alias = rest[0] if rest and rest[0] not in NOT_AN_ALIAS and \
            re.fullmatch(r"\w+", rest[0]) else words[0]
        return words[0], alias

    def faults(self, tenants):
        """Sentences about this query and those inside."""
        for branch in self.branches():
            yield from branch.faults_here(tenants)
        for query in self.inner:
            yield from query.faults(tenants)

    def faults_here(self, tenants):
        mine = [(t, a) for t, a in self.tables() if t in tenants]
        picks, own = self.picks(), " ".join(
            text for word, text in self.clauses() if word in ("from", "using", "where"))
        for table, alias in mine:
            qualified = re.search(rf"\b(?:{alias}|{table})\.tenant_id\b", picks)
            alone = len(mine) == 1 and re.search(r"(?<![.\w])tenant_id\b", own)
            if not qualified and not alone:
                yield f"{table} is not picked by its tenant"
        for match in re.finditer(r"\binsert\s+into\s+(\w+)(?:\s+as\s+\w+)?\s*(\(?)([^()]*)",
                                 self.text):
            table, opened, columns = match.groups()
            if table in tenants and opened and not re.search(r"\btenant_id\b", columns):
                yield f"{table} is inserted into without a tenant"


def faults_of(sql, tenants):
    """Of one statement, or of a function's body."""
    for statement in statements(clean(sql)):
        if "everybodys__" not in statement:
            yield from Query(statement).faults(tenants)


def functions(text):
    """[(name, number of parameters, body)] that a migration makes."""
    pattern = re.compile(r"create (?:or replace )?function (\w+)\s*\(", re.I)
    for match in pattern.finditer(text):
        end = Query.matching(text, match.end() - 1)
        body = re.match(r".*?\$\$(.*?)\$\$", text[end:], re.S)
        if body:
            parameters = text[match.end():end]
            yield match[1], parameters.count(",") + bool(parameters.strip()), body[1]


def named(text):
    """[(name, statement)] of a daemon's .sql file."""
    parts = re.split(r"^-- name:\s*(\w+)\s*$", text, flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


def lint(migrations, files):
    """Sentences; migrations and files are {name: text}, the former in order."""
    tenants = tenants_tables(migrations.values())
    last = {}
    for name, text in migrations.items():
        for function, parameters, body in functions(text):
            last[function, parameters] = (name, body)
    for (function, _), (name, body) in last.items():
        if function not in EVERYBODYS:
            for fault in faults_of(body, tenants):
                yield f"{name}: {function}: {fault}"
    for name, text in files.items():
        for statement, sql in named(text):
            for fault in faults_of(sql, tenants):
                yield f"{name}: {statement}: {fault}"


def read(paths):
    return {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in paths}


def main():
    found = list(lint(read(sorted(ROOT.glob("conf/sql/*.sql"))),
                      read(sorted(ROOT.glob("daemon/*/*.sql")))))
    for sentence in found:
        print(f"{sentence} (say why before it, if it is meant: -- tenant: …)")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
