#pragma once

// What all loaders share: finding a benchmark's files and pictures, drawing a part of the questions, and
// VLMEvalKit's tables.

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "winnow/eval/benchmark.h"
#include "winnow/eval/tsv.h"

namespace winnow::eval {

/// Throws InvalidArgument for a split that the benchmark does not have, or a negative limit.
void check_options(const LoadOptions& options, const BenchmarkInfo& info);

/// The folder that is to hold a benchmark.
class DataFolder {
 public:
  /// `path` may also be one .tsv file: then only find_table finds something. Throws NotFound.
  DataFolder(std::string path, std::string benchmark);

  /// The first of these files or folders (relative names) that is there.
  std::optional<std::string> find(std::initializer_list<std::string_view> names);
  std::optional<std::string> find_table(std::initializer_list<std::string_view> names);
  /// Throws NotFound: the folder does not hold the benchmark; lists every name that was looked for.
  [[noreturn]] void nothing_here() const;

  /// The first of these pictures that is in one of the folders (relative; "" is the folder itself). Throws
  /// NotFound.
  ItemImage picture(std::initializer_list<std::string> names, const std::vector<std::string>& folders,
                    const Item& item);
  const std::string& path() const { return path_; }

 private:
  std::string path_, benchmark_, table_;
  std::vector<std::string> looked_for_;
  std::string last_folder_;
};

/// The end of every loader: checks that there are items with answers and that no id is there twice, draws
/// options.limit of them, and gives the drawn ones their pictures. Throws Corrupt, and what `add_pictures`
/// throws.
std::vector<Item> finish_items(std::vector<Item> items, const LoadOptions& options,
                               const std::function<void(Item&)>& add_pictures);

/// VLMEvalKit's table of one benchmark (vlmeval/dataset/image_base.py).
class VlmevalTable {
 public:
  /// Throws NotFound, Io, Corrupt: columns index, question, answer_column, and image or image_path must be
  /// there.
  explicit VlmevalTable(const std::string& path, std::string_view answer_column = "answer");

  /// Row i as item i: id = index, question, hint, choices (columns A, B ...), answers (one cell; a cell that
  /// is a list in Python's form gives several), category, subcategory (l2-category), split.
  std::vector<Item> items() const;
  /// A cell of the item's row; empty where the column or the value is missing.
  std::string cell(const Item& item, std::string_view column) const;
  bool has(std::string_view column) const { return table_.find_column(column).has_value(); }
  /// `image`: base64, or the index (at most 64 characters) of the row that holds the picture, or a list of
  /// base64; else `image_path`: relative to the table's folder or its images/.
  void add_pictures(Item& item);

 private:
  Item item_of(std::size_t row) const;
  std::string cell_at(std::size_t row, std::string_view column) const;
  std::size_t row_of(const Item& item) const;
  const std::vector<ItemImage>& pictures_of_row(std::size_t row);

  TsvTable table_;
  std::string folder_, answer_column_;
  std::unordered_map<std::string, std::size_t> row_of_index_;
  std::unordered_map<std::size_t, std::vector<ItemImage>> pictures_;
};

}  // namespace winnow::eval
