"""A small program in a land model's place, which also crashes, hangs, and writes nonsense.

It reads its habits from settings.txt (key value), its weather from met.csv, and writes out.csv.
"""

import os
import sys
import time


def main() -> None:
    with open("settings.txt") as file:
        told = dict(line.split() for line in file if line.strip())
    share, mood = float(told["share"]), told.get("mood", "well")
    print("stand-in begins", flush=True)
    if mood == "crash":
        print("floating point exception in subroutine STOMATA", file=sys.stderr)
        sys.exit(3)
    if mood == "hang":
        time.sleep(60)
    if mood == "kill":
        os.kill(os.getpid(), 9)
    if mood == "silent":
        return
    if mood == "careless":
        with open("large.dat", "a") as file:
            file.write("more")
    store = float(open("start.txt").read()) if os.path.exists("start.txt") else 0.0  # noqa: SIM115
    with open("met.csv") as met, open("out.csv", "w") as out:
        head = met.readline().strip().split(",")
        print("time,LE,H", file=out)
        if mood == "longer":  # its state before the first step, too
            print("2000-12-31T23:00,0,0", file=out)
        for n, line in enumerate(met):
            row = dict(zip(head, line.strip().split(","), strict=True))
            sun = float(row["SW"])
            latent = "NaN" if mood == "nan" and n == 7 else f"{share * sun + store:.6f}"
            print(f"{row['time']},{latent},{(1 - share) * sun:.6f}", file=out)
            if mood == "half" and n == 20:
                return
    with open("end.txt", "w") as end:
        end.write(str(store + 1.0))


if __name__ == "__main__":
    main()
