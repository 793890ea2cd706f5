"""Asks a printer with python-escpos: ask.py HOST PORT online|paper|print, one line of answer; "silent" if it gets none."""

import sys

from escpos.printer import Network

host, port, question = sys.argv[1], int(sys.argv[2]), sys.argv[3]
printer = Network(host, port=port, timeout=5)
def answer(ask):
    try:
        return ask()
    except TimeoutError:
        return "silent"


if question == "online":
    print(answer(lambda: "online" if printer.is_online() else "offline"))
elif question == "paper":
    print(answer(lambda: {2: "enough", 1: "near-end", 0: "out"}[printer.paper_status()]))
else:
    printer.text("CORNER SHOP\n")
    printer.barcode("4006381333931", "EAN13", function_type="B", check=True)
    printer.qr("R-7", native=True)
    printer.image(sys.argv[4]) if len(sys.argv) > 4 else None
    printer.text("Job a1\n")
    printer.cashdraw(2)
    printer.cut()
    print("sent")
printer.close()
