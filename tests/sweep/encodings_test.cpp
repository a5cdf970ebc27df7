// One encoding of a picture for all configurations, but not for questions that read it otherwise.

#include "winnow/sweep/encodings.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/engine_models.h"
#include "winnow/scenes/render.h"

namespace winnow::sweep {
namespace {

eval::ItemImage shown(uint64_t seed) {
  const engine::Image image = testing::picture(seed, 150, 90);
  const auto bytes = scenes::encode_png(image.rgb, image.width, image.height);
  return {std::to_string(seed), "", std::make_shared<const std::string>(bytes.begin(), bytes.end())};
}

/// LLaVA-OneVision cuts a question's only picture into tiles and reads several whole.
TEST(Encodings, OfAPictureAloneAndAmongSeveral) {
  const auto model = testing::onevision_model();
  ConfigurationRequest request;
  request.methods = {"random", "fastv"};
  request.keeps = {"4"};
  const std::vector<Configuration> configured = configurations(request, *model);
  engine::Session session(model, testing::threads(1));
  Encodings encodings(session, configured, engine::ImageFit::Pad, {});
  eval::Item alone, among;
  alone.images = {shown(1)};
  among.images = {shown(1), shown(2)};
  const auto one = encodings.of(alone, 0);
  EXPECT_EQ(one[0]->image.n_token(), 44);
  EXPECT_EQ(encodings.of(alone, 1)[0], one[0]) << "shared by the configurations";
  encodings.next_question();
  const auto two = encodings.of(among, 0);
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two[0]->image.n_token(), 17);
  EXPECT_EQ(two[1]->image.n_token(), 17);
  EXPECT_EQ(encodings.of(among, 1)[1], two[1]);
  EXPECT_EQ(encodings.of(alone, 0)[0], one[0]) << "of the question before";
}

}  // namespace
}  // namespace winnow::sweep
