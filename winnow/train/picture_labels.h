#pragma once

#include "winnow/scenes/scene.h"
#include "winnow/train/batch.h"

namespace winnow::train {

/// Writes pixels and labels of picture `idx` into the batch' tensors.
void fill_picture(const scenes::Scene& scene, const ModelShape& shape, int64_t idx, PictureBatch& batch);
/// Tensors for n pictures, all labels "nothing".
PictureBatch empty_pictures(const ModelShape& shape, int64_t n);

}  // namespace winnow::train
