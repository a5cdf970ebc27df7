#include "winnow/scenes/description.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

TEST(Description, NamesEveryThingOfThePictureOnce) {
  for (uint64_t i = 0; i < 200; ++i) {
    Rng rng = scene_rng(Split::Train, 3, i);
    const Scene scene = make_scene({}, rng);
    const std::string text = describe(scene, rng);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    EXPECT_EQ(static_cast<std::size_t>(lines), scene.objects.size() + scene.texts.size());
    for (const Object& object : scene.objects) {
      const std::string name = std::string(name_of(object.size)) + " " + std::string(name_of(object.colour)) +
                               " " + std::string(name_of(object.shape)) + " [";
      EXPECT_NE(text.find("\n " + name), std::string::npos) << text;
    }
    for (const Text& printed : scene.texts)
      EXPECT_NE(text.find(" text " + printed.content + " ["), std::string::npos) << text;
  }
}

TEST(Description, OrderIsDrawn) {
  Rng rng = scene_rng(Split::Train, 3, 1);
  Scene scene = make_scene({}, rng);
  while (scene.objects.size() < 4) scene = make_scene({}, rng);
  const std::string first = describe(scene, rng);
  bool other = false;
  for (int i = 0; i < 20; ++i) other = other || describe(scene, rng) != first;
  EXPECT_TRUE(other);
}

}  // namespace
}  // namespace winnow::scenes
