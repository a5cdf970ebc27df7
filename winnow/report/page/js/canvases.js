// Maps of tokens: which ones are kept of a picture, and how often a place is kept.

const painters = [];  // drawn anew when the theme changes

function canvasOf(size, label, paint, style) {
  const canvas = el("canvas", {width: size, height: size, role: "img", "aria-label": label, class: style});
  painters.push(() => paint(canvas.getContext("2d"), size));
  return canvas;
}

function drawCanvases() {
  for (const paint of painters) paint();
}

/** Where a picture lies on the square that the tower sees: padded to a square, or its middle. */
function placed(picture, fit, size) {
  const long = Math.max(picture.width, picture.height), short = Math.min(picture.width, picture.height);
  const scale = size / (fit === "crop" ? short : long);
  const width = picture.width * scale, height = picture.height * scale;
  return [(size - width) / 2, (size - height) / 2, width, height];
}

/** The picture with everything dimmed but the kept tokens; without a picture their places alone. */
function keptMap(example, kept, image, label) {
  return canvasOf(240, label, (ctx, size) => {
    const side = example.side, cell = size / side, isKept = new Set(kept);
    ctx.fillStyle = themeColour("surface");
    ctx.fillRect(0, 0, size, size);
    if (image) ctx.drawImage(image, ...placed(example.picture, example.fit, size));
    for (let i = 0; i < side * side; ++i) {
      const x = (i % side) * cell, y = Math.floor(i / side) * cell;
      if (!image && isKept.has(i)) {
        ctx.fillStyle = themeColour("accent");
        ctx.fillRect(x, y, cell, cell);
      } else if (image && !isKept.has(i)) {
        ctx.fillStyle = isDark() ? "rgba(20, 23, 26, 0.84)" : "rgba(255, 255, 255, 0.84)";
        ctx.fillRect(x, y, cell, cell);
      }
      ctx.strokeStyle = isDark() ? "rgba(255, 255, 255, 0.14)" : "rgba(0, 0, 0, 0.12)";
      ctx.lineWidth = 1;
      ctx.strokeRect(x + 0.5, y + 0.5, cell, cell);
    }
  }, "picture");
}

/** From the page's colour to the accent. */
function heat(share) {
  const t = Math.max(0, Math.min(1, share));
  const from = isDark() ? [29, 33, 37] : [247, 249, 251], to = isDark() ? [86, 180, 233] : [0, 84, 140];
  return "rgb(" + from.map((c, i) => Math.round(c + t * (to[i] - c))).join(", ") + ")";
}

/** Black or white, whichever stands out more (relative luminance of WCAG 2). */
function textOn(colour) {
  const [r, g, b] = colour.match(/[0-9.]+/g).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/** A square grid of shares, darkest at `top`. */
function shareMap(shares, side, top, label) {
  return canvasOf(192, label, (ctx, size) => {
    const cell = size / side;
    shares.forEach((share, i) => {
      ctx.fillStyle = heat(share / top);
      ctx.fillRect(Math.floor((i % side) * cell), Math.floor(Math.floor(i / side) * cell), Math.ceil(cell), Math.ceil(cell));
    });
  });
}

const sideOf = (n) => { const side = Math.round(Math.sqrt(n)); return side * side === n ? side : 0; };
