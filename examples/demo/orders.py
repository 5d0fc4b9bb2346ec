"""The order desk of order-flow.yaml: reads data/, keeps its papers in out/orders/ and its letters in out/outbox/.

Each function may be called twice for one order, because a step is performed again when its worker died: what it
writes is named after the order, and the second call finds the first one's paper.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAPERS = HERE / "out" / "orders"
OUTBOX = HERE / "out" / "outbox"


def _data(name):
    return json.loads((HERE / "data" / name).read_text(encoding="utf-8"))


def _file_once(name, paper):
    """Write `paper` unless it is there; either way, return what is on file."""
    PAPERS.mkdir(parents=True, exist_ok=True)
    path = PAPERS / name
    if not path.exists():
        draft = path.with_name(path.name + ".part")
        draft.write_text(json.dumps(paper, indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    return json.loads(path.read_text(encoding="utf-8"))


def validate(order_id):
    """The order, if it is one we can serve."""
    order = next((order for order in _data("orders.json") if order["id"] == order_id), None)
    if order is None:
        raise ValueError(f"there is no order {order_id} in data/orders.json")
    if "@" not in order["email"]:
        raise ValueError(f"order {order_id} has no address to confirm to")
    if not order["lines"] or any(line["quantity"] < 1 for line in order["lines"]):
        raise ValueError(f"order {order_id} asks for nothing")
    return order


def reserve(order):
    """Set the goods aside; the prices come from the shelf, not from the order."""
    shelf = {item["sku"]: item for item in _data("inventory.json")}
    short = [line["sku"] for line in order["lines"] if shelf[line["sku"]]["stock"] < line["quantity"]]
    if short:
        raise ValueError(f"not enough in stock: {', '.join(short)}")
    lines = [
        {**line, "name": shelf[line["sku"]]["name"], "cents": shelf[line["sku"]]["cents"] * line["quantity"]}
        for line in order["lines"]
    ]
    total = sum(line["cents"] for line in lines)
    return _file_once(f"{order['id']}-reserved.json", {"order": order["id"], "lines": lines, "total_cents": total})


def charge(order, reservation):
    """Take the money once: the receipt is filed under the order's number."""
    receipt = {
        "order": order["id"],
        "card": "…" + order["card"][-4:],
        "charged_cents": reservation["total_cents"],
        "receipt": f"R-{order['id'].removeprefix('ORD-')}",
    }
    return _file_once(f"{order['id']}-receipt.json", receipt)


def confirm(order_id):
    """Put the confirmation into the outbox, from the papers on file. The path of the letter."""
    order = validate(order_id)
    reservation = json.loads((PAPERS / f"{order_id}-reserved.json").read_text(encoding="utf-8"))
    receipt = json.loads((PAPERS / f"{order_id}-receipt.json").read_text(encoding="utf-8"))
    lines = [
        f"  {line['quantity']:>3} x {line['name']:<24}{line['cents'] / 100:>10.2f}" for line in reservation["lines"]
    ]
    OUTBOX.mkdir(parents=True, exist_ok=True)
    path = OUTBOX / f"{order_id}.txt"
    path.write_text(
        f"To: {order['email']}\nSubject: Your order {order_id}\n\nDear {order['customer']},\n\n"
        "thank you. We have set aside:\n\n"
        + "\n".join(lines)
        + f"\n  Total{reservation['total_cents'] / 100:>34.2f}\n\n"
        f"Paid with card {receipt['card']}, receipt {receipt['receipt']}.\n",
        encoding="utf-8",
    )
    return path


if __name__ == "__main__":
    letter = confirm(sys.argv[1])
    print(letter.read_text(encoding="utf-8"))
    print(f"in the outbox: {letter.relative_to(HERE)}")
