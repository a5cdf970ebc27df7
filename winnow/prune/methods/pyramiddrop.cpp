// PyramidDrop: before each of a few decoder layers, the visual tokens that the prompt's last token will
// attend to most in that very layer; every stage keeps the same part of the stage before. Xing et al. 2024,
// "PyramidDrop: Accelerating Your Large Vision-Language Models via Pyramid Visual Redundancy Reduction",
// arXiv 2410.17247, section 3.2.
//   s_j = 1/H sum_h A^(K)_h[last, j]    A^(K) the softmaxed attention that layer K will have
// Reference: Cooperx521/PyramidDrop @6444f304ae, llava/model/modeling_llama_pdrop.py, pdrop_rank_drop.
// Schedule: before layers 8, 16, 24 of 32 int(N lambda^s) of the N tokens remain, lambda = 0.5: 288, 144, 72
// of 576. The average counts what layers see, as the paper does (270 of 576). For another average lambda is
// solved; less than a quarter of the tokens is impossible with these layers and is an error.
// Deviation: the reference cannot run with grouped key heads; here a query head reads the keys of its group.

#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/staged.h"

namespace winnow::prune {
namespace {

constexpr std::size_t kPyramidStages = 3;

class PyramidDrop final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  bool ranks(const Params&) const override { return true; }
  std::vector<Need> needs(const Params&) const override { return {{Signal::NextAttention}}; }

  std::vector<Scheduled> schedule(const ScheduleRequest& request, const Params& params) const override {
    const Staged staged(info_.name, {8, 16, 24});
    const auto pyramid = [&](double lambda) {
      return geometric_counts(request.n_visual, kPyramidStages, lambda);
    };
    return request.average > 0.0 ? staged.solved(request, pyramid)
                                 : staged.steps(request, pyramid(params.real("lambda")));
  }

  Plan select(const Signals& signals, int32_t n_keep, const Params&, Rng&) const override {
    return top_k_plan(head_mean(signals.next_attention), n_keep);
  }

 private:
  MethodInfo info_{.name = "pyramiddrop",
                   .summary = "most attention from the last prompt token in layer K itself, in three stages",
                   .paper = "Xing et al. 2024, arXiv 2410.17247",
                   .stage = Stage::BeforeLayer,
                   .default_layer = 8,
                   .position = PositionPolicy::Compact,
                   .params = {{.name = "lambda",
                               .kind = ParamKind::Real,
                               .default_value = "0.5",
                               .min = 0.0,
                               .max = 1.0,
                               .help = "part that each stage keeps of the one before, without a budget"}}};
};

}  // namespace

const Method& pyramiddrop_method() {
  static const PyramidDrop method;
  return method;
}

}  // namespace winnow::prune
