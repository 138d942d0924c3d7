# Copyright The bpfmap-operator Authors.
# SPDX-License-Identifier: Apache-2.0
"""Hooks of mkdocs.yml: links that leave docs/ go to the repository, and anchors are GitHub's."""

import os
import re

REPOSITORY = "https://github.com/bpfmap-io/bpfmap-operator/blob/main/"
LINK = re.compile(r"(\]\()([^()\s#:]+)(#[^()\s]*)?\)")


def slugify(heading, separator):
    """The anchor that GitHub makes: TestLinks of test/docs holds all links to it."""
    heading = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return heading.replace(" ", separator)


def on_config(config):
    """Has headings get GitHub's anchors."""
    config["mdx_configs"].setdefault("toc", {})["slugify"] = slugify
    return config


def on_page_markdown(markdown, page, **_):
    """Points a relative link that is outside of docs/ to the file in the repository."""
    here = os.path.dirname(os.path.join("docs", page.file.src_path))

    def point(match):
        target = os.path.normpath(os.path.join(here, match[2]))
        inside = target.startswith("docs" + os.sep) and target.endswith((".md", ".png", ".svg"))
        if match[2].startswith("/") or inside:
            return match[0]
        return f"{match[1]}{REPOSITORY}{target}{match[3] or ''})"

    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.M | re.S)
    return "".join(p if p.startswith("```") else LINK.sub(point, p) for p in parts)
