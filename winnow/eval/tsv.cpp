#include "winnow/eval/tsv.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.tsv";
constexpr std::size_t kKept = 512;  // bytes of a cell that are kept in memory
constexpr std::size_t kChunk = 1 << 16;

/// Takes the quotes off, character by character.
class Unquoter {
 public:
  enum class Step { Text, Skip, EndOfCell, EndOfRow };

  Step take(char c) {
    switch (state_) {
      case State::Start:
        if (c == '"') {
          state_ = State::Quoted;
          return Step::Skip;
        }
        state_ = State::Plain;
        return plain(c);
      case State::Plain: return plain(c);
      case State::Quoted:
        if (c != '"') return Step::Text;
        state_ = State::Quote;
        return Step::Skip;
      case State::Quote:  // the second of a pair, or the cell's quotes have ended
        state_ = c == '"' ? State::Quoted : State::Plain;
        return c == '"' ? Step::Text : plain(c);
    }
    return Step::Text;
  }
  bool inside_quotes() const { return state_ == State::Quoted; }
  bool at_start() const { return state_ == State::Start; }

 private:
  enum class State { Start, Plain, Quoted, Quote };

  Step plain(char c) {
    if (c == '\t' || c == '\n') {
      state_ = State::Start;
      return c == '\t' ? Step::EndOfCell : Step::EndOfRow;
    }
    return Step::Text;
  }
  State state_ = State::Start;
};

std::unique_ptr<std::istream> open_file(const std::string& path) {
  std::error_code ignored;
  WINNOW_CHECK(std::filesystem::exists(path, ignored), NotFound, kWhere, "{}: no such file", path);
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  WINNOW_CHECK(*file && std::filesystem::is_regular_file(path, ignored), Io, kWhere, "{}: cannot be read",
               path);
  return file;
}

}  // namespace

/// Fills a table from its stream.
class TsvReader {
 public:
  explicit TsvReader(TsvTable& table) : table_(table) {}

  void read() {
    std::vector<char> chunk(kChunk);
    std::istream& in = *table_.stream_;
    skip_byte_order_mark(in);
    while (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())), in.gcount() > 0) {
      for (std::streamsize i = 0; i < in.gcount(); ++i) take(chunk[static_cast<std::size_t>(i)]);
    }
    WINNOW_CHECK(!in.bad(), Io, kWhere, "{}: cannot be read", table_.name_);
    WINNOW_CHECK(!unquoter_.inside_quotes(), Corrupt, kWhere, "{}:{}: a quote is not closed", table_.name_,
                 row_.line);
    if (!row_.cells.empty() || !unquoter_.at_start()) end_row(offset_);
    WINNOW_CHECK(!table_.columns_.empty(), Corrupt, kWhere, "{}: empty, expected a header row", table_.name_);
  }

 private:
  void skip_byte_order_mark(std::istream& in) {
    std::array<char, 3> head{};
    in.read(head.data(), head.size());
    const bool mark = in.gcount() == 3 && std::string_view(head.data(), 3) == "\xEF\xBB\xBF";
    in.clear();
    in.seekg(mark ? 3 : 0);
    offset_ = cell_.offset = mark ? 3 : 0;
  }

  void take(char c) {
    if (row_.cells.empty() && unquoter_.at_start()) row_.line = line_;
    line_ += c == '\n' ? 1 : 0;
    ++offset_;
    switch (unquoter_.take(c)) {
      case Unquoter::Step::Text:
        if (cell_.head.size() < kKept) cell_.head += c;
        ++cell_.size;
        break;
      case Unquoter::Step::Skip: break;
      case Unquoter::Step::EndOfCell: end_cell(offset_ - 1); break;
      case Unquoter::Step::EndOfRow: end_row(offset_ - 1); break;
    }
    previous_ = c;
  }

  void end_cell(int64_t end) {
    cell_.n_raw = end - cell_.offset;
    row_.cells.push_back(std::exchange(cell_, {}));
    cell_.offset = offset_;
  }

  void end_row(int64_t end) {
    if (previous_ == '\r' && cell_.size > 0) drop_carriage_return();
    end_cell(end);
    TsvTable::Row row = std::exchange(row_, {});
    if (row.cells.size() == 1 && row.cells[0].size == 0) return;  // an empty line
    if (table_.columns_.empty()) {
      read_header(row);
      return;
    }
    WINNOW_CHECK(row.cells.size() == table_.columns_.size(), Corrupt, kWhere,
                 "{}:{}: {} cells, expected {} as in the header", table_.name_, row.line, row.cells.size(),
                 table_.columns_.size());
    table_.rows_.push_back(std::move(row));
  }

  void drop_carriage_return() {
    if (cell_.head.size() == static_cast<std::size_t>(cell_.size)) cell_.head.pop_back();
    --cell_.size;
  }

  void read_header(const TsvTable::Row& row) {
    for (const TsvTable::Cell& cell : row.cells) {
      WINNOW_CHECK(!table_.find_column(cell.head), Corrupt, kWhere, "{}:{}: column '{}' is there twice",
                   table_.name_, row.line, cell.head);
      table_.columns_.push_back(cell.head);
    }
  }

  TsvTable& table_;
  Unquoter unquoter_;
  TsvTable::Cell cell_;
  TsvTable::Row row_;
  int64_t offset_ = 0, line_ = 1;
  char previous_ = '\0';
};

TsvTable::TsvTable(const std::string& path) : TsvTable(open_file(path), path) {}

TsvTable::TsvTable(std::unique_ptr<std::istream> stream, std::string name)
    : name_(std::move(name)), stream_(std::move(stream)) {
  TsvReader(*this).read();
}

std::optional<std::size_t> TsvTable::find_column(std::string_view name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

std::size_t TsvTable::column(std::string_view name) const {
  const auto found = find_column(name);
  WINNOW_CHECK(found, Corrupt, kWhere, "{}: column '{}' is missing, the header has {}", name_, name,
               fmt::join(columns_, ", "));
  return *found;
}

std::string TsvTable::text(std::size_t row, std::size_t column) const {
  const Cell& cell = rows_.at(row).cells.at(column);
  if (static_cast<std::size_t>(cell.size) == cell.head.size()) return cell.head;
  std::string raw(static_cast<std::size_t>(cell.n_raw), '\0');
  stream_->clear();
  stream_->seekg(cell.offset);
  stream_->read(raw.data(), cell.n_raw);
  WINNOW_CHECK(stream_->gcount() == cell.n_raw, Io, kWhere, "{}: cannot be read again (did it change?)",
               place(row));
  std::string out;
  out.reserve(static_cast<std::size_t>(cell.size));
  Unquoter unquoter;
  for (const char c : raw) {
    if (unquoter.take(c) == Unquoter::Step::Text) out += c;
  }
  out.resize(static_cast<std::size_t>(cell.size));  // without a carriage return at the end of the row
  return out;
}

int64_t TsvTable::size(std::size_t row, std::size_t column) const {
  return rows_.at(row).cells.at(column).size;
}

std::string TsvTable::place(std::size_t row) const { return fmt::format("{}:{}", name_, rows_.at(row).line); }

bool is_missing(std::string_view cell) {
  constexpr std::array<std::string_view, 19> kMissing = {
      "",     "#N/A", "#N/A N/A", "#NA",  "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
      "<NA>", "N/A",  "NA",       "NULL", "NaN",     "None",     "n/a",  "nan",  "null"};
  return std::find(kMissing.begin(), kMissing.end(), cell) != kMissing.end();
}

}  // namespace winnow::eval
