#include "winnow/train/picture_labels.h"

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/scenes/render.h"

namespace winnow::train {
namespace {

constexpr float kPixelScale =
    1.0F / 64.0F;                       // with -1: the image mean and deviation that the mmproj file says
constexpr float kTextOverlapPx = 3.0F;  // of a patch's rows, to count as lying on a line of text

struct PatchRect {
  float x0, y0, x1, y1;
};

void fill_pixels(const scenes::Scene& scene, const ModelShape& s, int64_t idx, PictureBatch& batch) {
  const std::vector<uint8_t> rgb = scenes::render(scene);
  WINNOW_ASSERT(s.image_px == scenes::kSide);
  float* out = batch.patches.data_ptr<float>() + idx * s.n_patch() * s.patch_values();
  for (int32_t patch = 0; patch < s.n_patch(); ++patch) {
    const int32_t top = patch / s.side() * s.patch_px, left = patch % s.side() * s.patch_px;
    for (int32_t channel = 0; channel < 3; ++channel) {
      for (int32_t row = 0; row < s.patch_px; ++row) {
        const uint8_t* from = rgb.data() + ((top + row) * s.image_px + left) * 3 + channel;
        for (int32_t col = 0; col < s.patch_px; ++col)
          *out++ = static_cast<float>(from[3 * col]) * kPixelScale - 1.0F;
      }
    }
  }
}

/// The object that a patch shows: of those whose disc reaches well into it, the one with the nearest centre.
const scenes::Object* object_at(const scenes::Scene& scene, const PatchRect& p) {
  const scenes::Object* best = nullptr;
  float best_distance = 1e9F;
  for (const scenes::Object& object : scene.objects) {
    const float nx = std::clamp(object.x, p.x0, p.x1) - object.x,
                ny = std::clamp(object.y, p.y0, p.y1) - object.y;
    const float reach = 0.75F * object.radius;
    if (nx * nx + ny * ny > reach * reach) continue;
    const float dx = 0.5F * (p.x0 + p.x1) - object.x, dy = 0.5F * (p.y0 + p.y1) - object.y;
    const float distance = dx * dx + dy * dy;
    if (distance < best_distance) best_distance = distance, best = &object;
  }
  return best;
}

int64_t glyph_class(char letter) { return letter >= 'A' ? 1 + letter - 'A' : 27 + letter - '0'; }

/// The letter whose cell, with half a gap on both sides, covers column x.
int64_t glyph_at(const scenes::Text& text, float x) {
  const float gap = 0.5F * text.scale;
  for (const scenes::Glyph& glyph : text.glyphs) {
    if (x >= glyph.box.x0 - gap && x < glyph.box.x1 + gap) return glyph_class(glyph.letter);
  }
  return 0;
}

void set_box(PictureBatch& batch, int64_t at, const scenes::Box& box, float side) {
  float* out = batch.box.data_ptr<float>() + at * 4;
  out[0] = box.x0 / side, out[1] = box.y0 / side, out[2] = box.x1 / side, out[3] = box.y1 / side;
  batch.boxed.data_ptr<float>()[at] = 1.0F;
}

void label_patch(const scenes::Scene& scene, const ModelShape& s, const PatchRect& p, int64_t at,
                 PictureBatch& batch) {
  if (const scenes::Object* object = object_at(scene, p)) {
    batch.shape.data_ptr<int64_t>()[at] = 1 + static_cast<int64_t>(object->shape);
    batch.colour.data_ptr<int64_t>()[at] = 1 + static_cast<int64_t>(object->colour);
    batch.size.data_ptr<int64_t>()[at] = 1 + static_cast<int64_t>(object->size);
    set_box(batch, at, object->box, static_cast<float>(s.image_px));
    return;
  }
  for (const scenes::Text& text : scene.texts) {
    const float overlap = std::min(p.y1, text.box.y1) - std::max(p.y0, text.box.y0);
    if (overlap < kTextOverlapPx) continue;
    const float width = p.x1 - p.x0;
    const int64_t left = glyph_at(text, p.x0 + 0.25F * width), right = glyph_at(text, p.x0 + 0.75F * width);
    if (left == 0 && right == 0) continue;
    batch.left.data_ptr<int64_t>()[at] = left;
    batch.right.data_ptr<int64_t>()[at] = right;
    batch.colour.data_ptr<int64_t>()[at] = 1 + static_cast<int64_t>(text.colour);
    set_box(batch, at, text.box, static_cast<float>(s.image_px));
  }
}

}  // namespace

PictureBatch empty_pictures(const ModelShape& s, int64_t n) {
  PictureBatch batch;
  batch.n_pictures = n;
  const int64_t rows = n * s.n_patch();
  batch.patches = torch::empty({rows, s.patch_values()}, torch::kFloat);
  for (torch::Tensor* t : {&batch.shape, &batch.colour, &batch.size, &batch.left, &batch.right})
    *t = torch::zeros({rows}, torch::kLong);
  batch.box = torch::zeros({rows, 4}, torch::kFloat);
  batch.boxed = torch::zeros({rows}, torch::kFloat);
  batch.pairs = torch::zeros({n, scenes::kShapes * scenes::kColours}, torch::kFloat);
  batch.count = torch::zeros({n}, torch::kLong);
  return batch;
}

void fill_picture(const scenes::Scene& scene, const ModelShape& s, int64_t idx, PictureBatch& batch) {
  fill_pixels(scene, s, idx, batch);
  const auto px = static_cast<float>(s.patch_px);
  for (int32_t patch = 0; patch < s.n_patch(); ++patch) {
    const float x = static_cast<float>(patch % s.side()) * px, y = static_cast<float>(patch / s.side()) * px;
    label_patch(scene, s, {x, y, x + px, y + px}, idx * s.n_patch() + patch, batch);
  }
  for (const scenes::Object& object : scene.objects) {
    const int64_t pair =
        static_cast<int64_t>(object.colour) * scenes::kShapes + static_cast<int64_t>(object.shape);
    batch.pairs.data_ptr<float>()[idx * scenes::kShapes * scenes::kColours + pair] = 1.0F;
  }
  batch.count.data_ptr<int64_t>()[idx] =
      static_cast<int64_t>(std::min<std::size_t>(scene.objects.size(), 15));
}

}  // namespace winnow::train
