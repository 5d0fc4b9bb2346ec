"""The work of sales-report.yaml: clean the rows, sum up each region, write the report into out/report/."""

import json
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

REPORT = Path(__file__).resolve().parent / "out" / "report"


def clean(rows, products):
    """The rows that can be counted, and what is wrong with the others."""
    known = {product["sku"] for product in products}
    good, rejected = [], []
    for number, row in enumerate(rows, start=2):  # line 1 of the file is its header
        problem = _problem(row, known)
        if problem:
            rejected.append({"line": number, "problem": problem})
        else:
            good.append(
                {
                    "day": row["day"],
                    "region": row["region"],
                    "sku": row["sku"],
                    "quantity": int(row["quantity"]),
                    "cents": round(float(row["price"]) * 100) * int(row["quantity"]),
                }
            )
    if not good:
        raise ValueError("no row of the sales file can be counted")
    return {"rows": good, "rejected": rejected}


def _problem(row, known):
    try:
        date.fromisoformat(row["day"])
        if int(row["quantity"]) < 1:
            return f"quantity {row['quantity']} is not a sale"
        float(row["price"])
    except ValueError as error:
        return str(error)
    return "" if row["sku"] in known else f"unknown article {row['sku']}"


def summarise(rows, region):
    """What one region sold: the total, by month and by article."""
    months, articles = defaultdict(int), Counter()
    for row in rows:
        if row["region"] == region:
            months[row["day"][:7]] += row["cents"]
            articles[row["sku"]] += row["quantity"]
    return {
        "region": region,
        "cents": sum(months.values()),
        "months": dict(sorted(months.items())),
        "articles": dict(articles.most_common()),
    }


def aggregate(regions, products, rejected):
    """All regions together."""
    names = {product["sku"]: product["name"] for product in products}
    articles = Counter()
    for region in regions:
        articles.update(region["articles"])
    return {
        "cents": sum(region["cents"] for region in regions),
        "regions": sorted(regions, key=lambda region: -region["cents"]),
        "best_sellers": [{"name": names[sku], "sold": sold} for sku, sold in articles.most_common(3)],
        "rejected": rejected,
    }


def write_report(totals):
    """out/report/sales.md for people, sales.json for programs."""
    largest = max(region["cents"] for region in totals["regions"]) or 1
    lines = ["# Sales", "", f"Total: {totals['cents'] / 100:,.2f}", "", "| region | sold for | |", "|---|---:|---|"]
    for region in totals["regions"]:
        bar = "█" * round(24 * region["cents"] / largest)
        lines.append(f"| {region['region']} | {region['cents'] / 100:,.2f} | {bar} |")
    lines += ["", "Best sellers:", ""]
    lines += [f"{place}. {item['name']}: {item['sold']}" for place, item in enumerate(totals["best_sellers"], start=1)]
    lines += ["", f"{len(totals['rejected'])} rows could not be counted:", ""]
    lines += [f"- line {row['line']}: {row['problem']}" for row in totals["rejected"]]

    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "sales.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (REPORT / "sales.json").write_text(json.dumps(totals, indent=2) + "\n", encoding="utf-8")
    return {"files": ["out/report/sales.md", "out/report/sales.json"], "lines": len(lines)}
