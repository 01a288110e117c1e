"""Line charts as SVG, made by hand: two panels side by side, one line for each tool in both."""

import math
from html import escape

# Colours that also the colour-blind tell apart (Okabe and Ito), and dashes for prints in black and white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "1 5")
WIDTH, HEIGHT = 960, 420
LEFT, TOP, PANEL_WIDTH, PANEL_HEIGHT, GAP = 76, 92, 370, 258, 110


def nice_ticks(high, wanted=5):
    """Round numbers from 0 to the first that is not below `high`."""
    if high <= 0:
        return [0, 1]
    rough = high / wanted
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    return [step * number for number in range(math.ceil(high / step - 1e-9) + 1)]


def log_ticks(low, high):
    """Powers of ten that enclose `low` to `high`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def number_text(value):
    return f"{value:,.6g}" if value >= 1 or value == 0 else f"{value:.2g}"


class Panel:
    """One pair of axes. `lines` is {name: [(x, y), …]}; a logarithmic one leaves out what is not above 0."""

    def __init__(self, left, title, unit, lines, logarithmic):
        self.left, self.title, self.unit, self.logarithmic = left, title, unit, logarithmic
        self.lines = {
            name: [point for point in points if point[1] > 0 or not logarithmic]
            for name, points in lines.items()
        }
        everything = [point for points in self.lines.values() for point in points] or [(0, 1)]
        xs, ys = zip(*everything)
        self.first, self.last = min(xs), max(max(xs), min(xs) + 1)
        self.ticks = log_ticks(min(ys), max(ys)) if logarithmic else nice_ticks(max(ys))

    def x(self, value):
        return self.left + (value - self.first) / (self.last - self.first) * PANEL_WIDTH

    def y(self, value):
        low, high = self.ticks[0], self.ticks[-1]
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return TOP + PANEL_HEIGHT * (1 - (value - low) / (high - low))

    def svg(self, names):
        right, bottom = self.left + PANEL_WIDTH, TOP + PANEL_HEIGHT
        parts = [text(self.left, TOP - 14, f"{self.title} ({self.unit})", size=14, weight="bold")]
        for tick in self.ticks:
            y = self.y(tick)
            parts.append(f'<path d="M{self.left} {y:.1f}H{right}" stroke="#ddd"/>')
            parts.append(text(self.left - 8, y + 4, number_text(tick), anchor="end"))
        step = max(1, round((self.last - self.first) / 6))
        for day in range(-(-self.first // step) * step, self.last + 1, step):
            parts.append(f'<path d="M{self.x(day):.1f} {bottom}v5" stroke="#444"/>')
            parts.append(text(self.x(day), bottom + 19, str(day), anchor="middle"))
        parts.append(text((self.left + right) / 2, bottom + 38, "day", anchor="middle"))
        parts.append(f'<path d="M{self.left} {TOP}V{bottom}H{right}" fill="none" stroke="#444"/>')
        for position, name in enumerate(names):
            points = self.lines.get(name)
            if points:
                path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
                parts.append(f'<path d="M{path}" fill="none" {style(position)}/>')
        return parts


def style(position):
    dash = DASHES[position % len(DASHES)]
    return f'stroke="{COLOURS[position % len(COLOURS)]}" stroke-width="2.5"' + (
        f' stroke-dasharray="{dash}"' if dash else ""
    )


def text(x, y, words, anchor="start", size=12, weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="#222">{escape(words)}</text>'
    )


def growth_chart(title, note, stored, grown):
    """What the repositories hold (linear) and what a day adds (logarithmic).

    `stored` and `grown` are {tool: [(day, bytes), …]}. Returns the text of an SVG file.
    """
    names = list(dict.fromkeys([*stored, *grown]))
    panels = (
        Panel(LEFT, "stored in all", "GB", scaled(stored, 1e9), False),
        Panel(LEFT + PANEL_WIDTH + GAP, "added by a day", "MB, logarithmic", scaled(grown, 1e6), True),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="system-ui, sans-serif" role="img">',
        f"<title>{escape(title)}</title>",
        # A ground of its own: a page may be dark.
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 26, title, size=16, weight="bold"),
    ]
    for position, name in enumerate(names):
        x = LEFT + 215 * position
        parts.append(f'<path d="M{x} 46h28" {style(position)}/>')
        parts.append(text(x + 35, 50, name, size=13))
    for panel in panels:
        parts += panel.svg(names)
    parts.append(text(LEFT, HEIGHT - 10, note, size=11))
    return "\n".join(parts) + "\n</svg>\n"


def scaled(lines, unit):
    return {name: [(day, value / unit) for day, value in points] for name, points in lines.items()}
