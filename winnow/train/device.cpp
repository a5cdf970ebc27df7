#include "winnow/train/device.h"

#include <chrono>

#include "winnow/base/error.h"

namespace winnow::train {
namespace {

double product_seconds(torch::ScalarType type) {
  const torch::Tensor a = torch::ones({1024, 256}, type), b = torch::ones({256, 512}, type);
  torch::mm(a, b);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 4; ++i) torch::mm(a, b);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

torch::Device parse_device(const std::string& name) {
  const bool cuda = torch::cuda::is_available();
  if (name == "auto") return cuda ? torch::kCUDA : torch::kCPU;
  if (name == "cpu") return torch::kCPU;
  WINNOW_CHECK(name == "cuda", InvalidArgument, "train.device",
               "device, got '{}', expected auto, cpu or cuda", name);
  WINNOW_CHECK(cuda, Unsupported, "train.device",
               "this LibTorch finds no CUDA device, expected --device cpu");
  return torch::kCUDA;
}

bool use_bf16(const std::string& precision, const torch::Device& device) {
  if (precision == "f32") return false;
  if (precision == "bf16") return true;
  WINNOW_CHECK(precision == "auto", InvalidArgument, "train.device",
               "precision, got '{}', expected auto, f32 or bf16", precision);
  if (!device.is_cpu())
    return false;  // a GPU waits for launches here, and casts are launches more (docs/model.md)
  // Casting the operands costs about as much as half a product in f32.
  return product_seconds(torch::kBFloat16) < 0.4 * product_seconds(torch::kFloat);
}

}  // namespace winnow::train
