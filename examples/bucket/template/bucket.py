"""A land model of one page: a bucket of soil water under a canopy that shades the ground.

Reads bucket.nml and forcing.txt, writes fluxes.txt. It stands for a program in any language.
"""

import re


def main() -> None:
    with open("bucket.nml") as file:
        found = re.findall(r"(\w+)\s*=\s*([-+0-9.eE]+)", file.read())
    settings = {key.lower(): float(value) for key, value in found}
    conductance, capacity = settings["conductance"], settings["capacity"]
    albedo, roughness = settings["albedo"], settings["roughness"]
    step = settings["step"]
    water = 0.7 * capacity
    with open("forcing.txt") as forcing, open("fluxes.txt", "w") as out:
        names = forcing.readline().split()
        print("Qle Qh wetness", file=out)
        for line in forcing:
            now = dict(zip(names, map(float, line.split()), strict=True))
            emitted = 0.97 * 5.67e-8 * (now["tair"] + 273.15) ** 4
            net = (1 - albedo) * now["sw"] + 0.97 * now["lw"] - emitted
            energy = net - 0.1 * max(net, 0.0)
            wet = min(max(water / capacity, 0.0), 1.0)
            leaf = now["lai"] / (now["lai"] + 1.0)
            # Priestley-Taylor's split, throttled by dry soil and by closed stomata
            slope = 0.4 + 0.015 * now["tair"]
            share = min(max(slope, 0.05), 0.95) * conductance * (0.2 + 0.8 * leaf) * wet**0.5
            latent = share * max(energy, 0.0)
            sensible = energy - latent
            exchange = 1.0 - 1.0 / (1.0 + roughness * now["wind"])
            sensible = exchange * sensible if sensible < 0 else sensible
            water += now["rain"] * step - latent / 2.45e6 * step
            water = min(max(water, 0.0), capacity)
            print(f"{latent:.5g} {sensible:.5g} {wet:.4g}", file=out)


if __name__ == "__main__":
    main()
