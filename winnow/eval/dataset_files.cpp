#include "winnow/eval/dataset_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/rng.h"
#include "winnow/eval/base64.h"
#include "winnow/eval/python_text.h"

namespace winnow::eval {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "eval.load";
constexpr uint64_t kDrawSeed = 2502115010;  // whatever; the same draw everywhere
constexpr int64_t kMaxReference = 64;       // longer image cells are pictures

std::string joined(const std::string& folder, std::string_view name) {
  return (fs::path(folder) / name).string();
}

// Names come from data files: one that the file system refuses is simply not there.
bool is_there(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}
bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// Indices of the drawn items, ascending. Whole groups, as many as fit.
std::vector<std::size_t> draw(const std::vector<Item>& items, int64_t limit) {
  std::unordered_map<std::string_view, std::size_t> number_of;
  std::vector<std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto [entry, is_new] = number_of.try_emplace(items[i].group, groups.size());
    if (is_new) groups.emplace_back();
    groups[entry->second].push_back(i);
  }
  const int64_t n_groups = std::ssize(groups), n_items = std::ssize(items);
  const int64_t n_wanted = std::max<int64_t>(1, limit * n_groups / n_items);
  std::vector<std::size_t> out;
  for (const int32_t g :
       Rng(kDrawSeed).sample(static_cast<int32_t>(n_groups), static_cast<int32_t>(n_wanted))) {
    const auto& group = groups[static_cast<std::size_t>(g)];
    if (!out.empty() && std::ssize(out) + std::ssize(group) > limit) continue;
    out.insert(out.end(), group.begin(), group.end());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

void check_options(const LoadOptions& options, const BenchmarkInfo& info) {
  WINNOW_CHECK(options.limit >= 0, InvalidArgument, kWhere, "limit, got {}, expected 0 (all) or more",
               options.limit);
  const bool known = options.split.empty() ||
                     std::find(info.splits.begin(), info.splits.end(), options.split) != info.splits.end();
  WINNOW_CHECK(known, InvalidArgument, kWhere, "{}: unknown split, got '{}', expected {}", info.name,
               options.split, info.splits.empty() ? "none" : fmt::format("{}", fmt::join(info.splits, ", ")));
}

DataFolder::DataFolder(std::string path, std::string benchmark)
    : path_(std::move(path)), benchmark_(std::move(benchmark)) {
  if (is_file(path_) && path_.ends_with(".tsv")) {
    table_ = path_;
    return;
  }
  std::error_code ignored;
  WINNOW_CHECK(fs::is_directory(path_, ignored), NotFound, kWhere, "{}: no such folder (or .tsv file)",
               path_);
}

std::optional<std::string> DataFolder::find(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    looked_for_.emplace_back(name);
    if (table_.empty() && is_there(joined(path_, name))) return joined(path_, name);
  }
  return std::nullopt;
}

std::optional<std::string> DataFolder::find_table(std::initializer_list<std::string_view> names) {
  if (!table_.empty()) return table_;
  return find(names);
}

void DataFolder::nothing_here() const {
  fail(ErrorCode::NotFound, kWhere, "{}: does not hold {}, looked for {}", path_, benchmark_,
       fmt::join(looked_for_, ", "));
}

ItemImage DataFolder::picture(std::initializer_list<std::string> names,
                              const std::vector<std::string>& folders, const Item& item) {
  // Nearly all pictures lie in one folder: the last one first, if it is one of these.
  auto order = folders;
  if (const auto last = std::find(order.begin(), order.end(), last_folder_); last != order.end())
    std::rotate(order.begin(), last, last + 1);
  for (const std::string& folder : order) {
    for (const std::string& name : names) {
      std::string path = joined(joined(path_, folder), name);
      if (!is_file(path)) continue;
      last_folder_ = folder;
      return {.key = path, .path = path, .bytes = nullptr};
    }
  }
  std::vector<std::string> places;
  for (const std::string& folder : folders) places.push_back(folder.empty() ? "." : folder);
  fail(ErrorCode::NotFound, kWhere, "{}: picture of question '{}' not found, looked for {} in {} ({})",
       item.place, item.id, fmt::join(names, " or "), path_, fmt::join(places, ", "));
}

std::vector<Item> finish_items(std::vector<Item> items, const LoadOptions& options,
                               const std::function<void(Item&)>& add_pictures) {
  WINNOW_CHECK(!items.empty(), Corrupt, kWhere, "no questions{}",
               options.split.empty() ? std::string() : fmt::format(" of split '{}'", options.split));
  std::unordered_map<std::string_view, const std::string*> place_of;
  for (Item& item : items) {
    if (item.group.empty()) item.group = item.id;
    const auto [entry, is_new] = place_of.try_emplace(item.id, &item.place);
    WINNOW_CHECK(is_new, Corrupt, kWhere, "{}: id '{}' is there twice, first at {}", item.place, item.id,
                 *entry->second);
    WINNOW_CHECK(!item.answers.empty(), Corrupt, kWhere,
                 "{}: question '{}' has no answer (a test split, scored on a server only?)", item.place,
                 item.id);
  }
  if (options.limit > 0 && options.limit < std::ssize(items)) {
    std::vector<Item> drawn;
    for (const std::size_t i : draw(items, options.limit)) drawn.push_back(std::move(items[i]));
    items = std::move(drawn);
  }
  for (Item& item : items) add_pictures(item);
  return items;
}

VlmevalTable::VlmevalTable(const std::string& path, std::string_view answer_column)
    : table_(path), folder_(fs::path(path).parent_path().string()), answer_column_(answer_column) {
  const std::size_t index = table_.column("index");
  table_.column("question");
  table_.column(answer_column);
  if (!has("image_path")) table_.column("image");
  for (std::size_t row = 0; row < table_.n_rows(); ++row)
    row_of_index_.try_emplace(table_.text(row, index), row);
}

std::string VlmevalTable::cell_at(std::size_t row, std::string_view column) const {
  const auto found = table_.find_column(column);
  std::string text = found ? table_.text(row, *found) : std::string();
  return is_missing(text) ? std::string() : text;
}

std::size_t VlmevalTable::row_of(const Item& item) const { return row_of_index_.at(item.id); }

std::string VlmevalTable::cell(const Item& item, std::string_view column) const {
  return cell_at(row_of(item), column);
}

Item VlmevalTable::item_of(std::size_t row) const {
  Item item;
  item.id = table_.text(row, table_.column("index"));
  item.place = table_.place(row);
  item.question = table_.text(row, table_.column("question"));
  item.hint = cell_at(row, "hint");
  item.category = cell_at(row, "category");
  item.subcategory = cell_at(row, has("l2-category") ? "l2-category" : "L2-category");
  item.split = cell_at(row, "split");
  for (char letter = 'A'; letter <= 'Z' && has({&letter, 1}); ++letter)
    item.choices.push_back(cell_at(row, {&letter, 1}));
  while (!item.choices.empty() && item.choices.back().empty()) item.choices.pop_back();
  if (const std::string answer = cell_at(row, answer_column_); !answer.empty())
    item.answers = parse_list(answer).value_or(std::vector<std::string>{answer});
  return item;
}

std::vector<Item> VlmevalTable::items() const {
  std::vector<Item> items;
  items.reserve(table_.n_rows());
  for (std::size_t row = 0; row < table_.n_rows(); ++row) items.push_back(item_of(row));
  return items;
}

void VlmevalTable::add_pictures(Item& item) {
  const std::size_t row = row_of(item);
  if (!has("image")) {
    const std::string cell = cell_at(row, "image_path");
    for (const std::string& name : parse_list(cell).value_or(std::vector<std::string>{cell})) {
      item.images.push_back(
          DataFolder(folder_.empty() ? "." : folder_, "the table").picture({name}, {"", "images"}, item));
    }
    return;
  }
  const std::size_t image = table_.column("image");
  std::size_t holder = row;
  if (table_.size(row, image) <= kMaxReference) {
    const std::string reference = cell_at(row, "image");
    WINNOW_CHECK(!reference.empty(), Corrupt, kWhere, "{}: question '{}' has no image", item.place, item.id);
    const auto found = row_of_index_.find(reference);
    WINNOW_CHECK(found != row_of_index_.end(), Corrupt, kWhere,
                 "{}: image is that of row '{}', which is not there (a picture has more than {} characters)",
                 item.place, reference, kMaxReference);
    holder = found->second;
    WINNOW_CHECK(table_.size(holder, image) > kMaxReference, Corrupt, kWhere,
                 "{}: image is that of row '{}', which holds no picture either", item.place, reference);
  }
  item.images = pictures_of_row(holder);
}

const std::vector<ItemImage>& VlmevalTable::pictures_of_row(std::size_t row) {
  const auto [entry, is_new] = pictures_.try_emplace(row);
  if (!is_new) return entry->second;
  const std::string cell = table_.text(row, table_.column("image"));
  const bool list = cell.front() == '[' && cell.back() == ']';
  const auto parts = list ? parse_list(cell) : std::vector<std::string>{cell};
  WINNOW_CHECK(parts && !parts->empty(), Corrupt, kWhere, "{}: image, expected a list of base64 texts",
               table_.place(row));
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const std::string place = fmt::format("{}, image {}", table_.place(row), i);
    entry->second.push_back(
        {.key = place,
         .path = "",
         .bytes = std::make_shared<const std::string>(decode_base64((*parts)[i], place))});
  }
  return entry->second;
}

}  // namespace winnow::eval
