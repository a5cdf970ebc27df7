#include "winnow/prune/describe.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace winnow::prune {
namespace {

TEST(DescribeTest, CommittedDocsAreTheRegistry) {
  std::ifstream file(WINNOW_SOURCE_DIR "/docs/methods.md", std::ios::binary);
  const std::string committed((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(committed, methods_markdown()) << "to regenerate: winnow methods --markdown > docs/methods.md";
}

TEST(DescribeTest, TableNamesEveryMethodAndParameter) {
  const std::string table = methods_table();
  for (const Method* method : methods()) {
    EXPECT_NE(table.find(method->info().name + " "), std::string::npos) << method->info().name;
    EXPECT_NE(table.find(method->info().paper), std::string::npos) << method->info().name;
    for (const ParamSpec& spec : method->info().params) {
      EXPECT_NE(table.find(spec.name + "=" + spec.default_value + " ("), std::string::npos) << spec.name;
    }
  }
}

TEST(DescribeTest, RangesAndNeeds) {
  EXPECT_EQ(describe_range({.name = "a", .kind = ParamKind::Real, .min = 0, .max = 1.5}), "0 to 1.5");
  EXPECT_EQ(describe_range({.name = "a", .kind = ParamKind::Choice, .choices = {"x", "y"}}), "x, y");
  EXPECT_EQ(describe_range({.name = "a", .kind = ParamKind::Window}), "ROWSxCOLUMNS");
  EXPECT_EQ(describe_needs(find_method("random")), "nothing");
  EXPECT_EQ(describe_needs(find_method("balanced")), "last_text_attention, hidden, hidden_last");
}

}  // namespace
}  // namespace winnow::prune
