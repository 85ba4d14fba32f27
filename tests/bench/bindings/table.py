"""The section "Bindings" of docs/PERFORMANCE.md, from the figures of run.py."""

LANGUAGES = (("C", "c"), ("Python", "python"), ("Go", "go"))
OTHERS = LANGUAGES[1:]
JOBS = (("read, a server under load", "read"), ("echoed, a server at an even load", "echo"),
        ("written, to a server that sends", "write"), ("read, the interface alone", "drain"),
        ("written, the interface alone", "burst"))
BATCHES = (1, 16, 64, 256)
SIZES = (64, 1400)


def worst(w, language):
    """The lowest of a language's ratios at batches of 64, in a server that carries traffic."""
    ratios = [w.value(f"bindings_ratio/{job}/{size}/64/{language}")
              for job in ("read", "echo", "write") for size in SIZES]
    return min(ratios) if all(ratios) else None


def goals(w):
    """(what, bound, measured) for the table of goals."""
    return [(f"packets a second in {title} to C, batches of 64: worst of read, echoed, written", bound,
             worst(w, language))
            for (title, language), bound in zip(OTHERS, (0.3, 0.8))]


def section(w):
    w.say("## Bindings")
    w.say()
    w.say("One program in C, Python and Go, each with the means its manual offers: a server in mode `host` "
          "on a processor of its own, two tunnels that send UDP on the other: as fast as they can, or in an "
          "echo 256 small or 64 large packets a millisecond, so that nothing is dropped. Packets a second "
          "of the program's processor time, the server's part included (WebSocket without TLS); 'the "
          "interface alone' takes a queue that is full, or fills an empty one, while nothing else goes on. "
          "Each packet's length and first byte are looked at; in an echo the addresses change places; what "
          "is written is copied from elsewhere, but for C's echo, which is written from where it was read. "
          "Who writes into a full queue rests a moment, and the longer that is, the fewer wake-ups he pays "
          "for: hence ratios above 1. Of an event C asks for two keys, where the others read a line of "
          "JSON. Languages take turns; medians of the rounds, ratios within a round.")
    w.say()
    w.table(["packets a second, batches of 64",
             *(f"{title}, {size} bytes" for size in SIZES for title, _ in LANGUAGES)],
            [[title, *(w.cell(f"bindings/{job}/{size}/64/{language}") for size in SIZES for _, language in LANGUAGES)]
             for title, job in JOBS])
    w.table(["times C, packets a batch", *(f"{title}, {batch}" for title, _ in OTHERS for batch in BATCHES)],
            [[f"{title}, {size} bytes",
              *(w.cell(f"bindings_ratio/{job}/{size}/{batch}/{language}")
                for _, language in OTHERS for batch in BATCHES)]
             for title, job in JOBS for size in SIZES])
    w.table(["", *(title for title, _ in LANGUAGES), *(f"{title} to C" for title, _ in OTHERS)], [
        [what, *(cell(w, name, language) for _, language in LANGUAGES),
         *(w.cell(f"bindings_ratio/{name}/{language}", 1, " x") for _, language in OTHERS)]
        for what, name, cell in (
            ("events a second, each with its type and client id read", "events",
             lambda w, name, language: w.cell(f"bindings/{name}/{language}")),
            ("10,000 sessions described at one moment: C has the text, the others objects", "sessions",
             milliseconds))])


def milliseconds(w, name, language):
    rate = w.value(f"bindings/{name}/{language}")
    return f"{1000 / rate:.3g} ms" if rate else "–"
