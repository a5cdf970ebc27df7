// Maps of tokens: which ones are kept of a picture, and how often a place is kept.

const painters = [];  // drawn anew when the theme changes

function canvasOf(width, height, label, paint, style) {
  const canvas = el("canvas", {width, height, role: "img", "aria-label": label, class: style});
  painters.push(() => paint(canvas.getContext("2d"), width, height));
  return canvas;
}

function drawCanvases() {
  for (const paint of painters) paint();
}

/** Rectangles of a map's cells on a canvas, in whole pixels: no seams. */
function cellsOf(map, width, height) {
  const [left, top, right, bottom] = map.box, w = (right - left) * width / map.cols, h = (bottom - top) * height / map.rows;
  return (i) => {
    const x = left * width + (i % map.cols) * w, y = top * height + Math.floor(i / map.cols) * h;
    return [Math.round(x), Math.round(y), Math.round(x + w) - Math.round(x), Math.round(y + h) - Math.round(y)];
  };
}

/** The picture with everything dimmed but what is kept in one of the maps; without a picture the places alone. */
function keptMap(example, maps, image, label) {
  const {width, height} = example.picture || {width: 1, height: 1}, scale = 240 / Math.max(width, height);
  return canvasOf(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)), label, (ctx, w, h) => {
    ctx.fillStyle = themeColour("surface");
    ctx.fillRect(0, 0, w, h);
    if (image) {
      ctx.drawImage(image, 0, 0, w, h);
      ctx.fillStyle = isDark() ? "rgba(20, 23, 26, 0.84)" : "rgba(255, 255, 255, 0.84)";
      ctx.fillRect(0, 0, w, h);
    }
    const bright = new Path2D(), lines = new Path2D();
    for (const map of maps) {
      const cell = cellsOf(map, w, h);
      for (const i of map.kept) bright.rect(...cell(i));
      if (maps.length > 1 && map === maps[0]) continue;  // the whole picture below its tiles
      for (let i = 0; i < map.rows * map.cols; ++i) lines.rect(...cell(i));
    }
    ctx.save();
    if (image) {
      ctx.clip(bright);
      ctx.drawImage(image, 0, 0, w, h);
    } else {
      ctx.fillStyle = themeColour("accent");
      ctx.fill(bright);
    }
    ctx.restore();
    ctx.strokeStyle = isDark() ? "rgba(255, 255, 255, 0.14)" : "rgba(0, 0, 0, 0.12)";
    ctx.stroke(lines);
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
  return canvasOf(192, 192, label, (ctx, size) => {
    const cell = size / side;
    shares.forEach((share, i) => {
      ctx.fillStyle = heat(share / top);
      ctx.fillRect(Math.floor((i % side) * cell), Math.floor(Math.floor(i / side) * cell), Math.ceil(cell), Math.ceil(cell));
    });
  });
}

const sideOf = (n) => { const side = Math.round(Math.sqrt(n)); return side * side === n ? side : 0; };
