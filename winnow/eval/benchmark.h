#pragma once

// The contract of a benchmark: its files -> items, an item -> what a model is asked, an answer -> a score,
// scores
// -> the numbers that papers print. No model, no tensor library. A new benchmark is one file in benchmarks/
// and one line in benchmarks.cpp. docs/benchmarks.md lists them.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/eval/box.h"
#include "winnow/eval/headline.h"

namespace winnow::eval {

/// Whose prompts, scorers and sums. They disagree, so every number names one.
///   Llava    scripts of LLaVA (haotian-liu/LLaVA @c121f04) and the official scorers that they hand over to
///   Lmms     lmms-eval (EvolvingLMMs-Lab/lmms-eval @75571cf)
///   Vlmeval  VLMEvalKit (open-compass/VLMEvalKit @e8e78f0), `exact_matching`, prompts of its LLaVA adapter
enum class Convention { Llava, Lmms, Vlmeval };
const std::vector<Convention>& conventions();
/// "llava", "lmms", "vlmeval".
std::string_view convention_name(Convention convention);
/// Throws InvalidArgument for any other word.
Convention parse_convention(std::string_view name);

/// An encoded picture (JPEG, PNG ...): a file, or bytes in memory.
struct ItemImage {
  std::string key;                           ///< equal keys: the same picture
  std::string path;                          ///< empty: `bytes`
  std::shared_ptr<const std::string> bytes;  ///< shared by the items that show it
};

/// One question. Which fields are filled is the benchmark's business; texts are as in its files.
struct Item {
  std::string id;        ///< unique within what was loaded
  std::string group;     ///< items that are judged together (MME: an image, MMBench: rotations); else the id
  std::string category;  ///< POPE: "random", also "adversarial,popular"; MME: "color" ...
  std::string subcategory;  ///< MMBench: l2-category; GQA: semantic type; Haystack: the needle's place
  std::string split;        ///< of the benchmark's own names
  std::string question;     ///< without a convention's suffix (MME: with its own)
  std::string asked;  ///< text of LLaVA's question file, which a llava prompt repeats word for word; or empty
  std::string hint;   ///< context; TextVQA with OCR: the tokens
  std::vector<std::string> choices;  ///< option i has letter 'A' + i; empty: there is no such option
  std::vector<std::string> answers;  ///< the truth: one, all that count, or one per annotator; never empty
  std::vector<ItemImage> images;
  Box box;                              ///< RefCOCO: the true one
  int32_t width_px = 0, height_px = 0;  ///< RefCOCO: of the picture
  std::string place;                    ///< "FILE:LINE", for messages
};

struct LoadOptions {
  std::string split{};  ///< empty: the benchmark's default
  int64_t limit = 0;  ///< at most so many items, drawn at random (always the same ones), groups whole; 0: all
};

struct Score {
  double value = 0.0;                    ///< 0..1
  std::string extracted;                 ///< what was read off the answer
  bool valid = false;                    ///< the answer had the form that is asked for
  std::map<std::string, double> detail;  ///< RefCOCO: "iou", "center"
};

/// All that sums need of a scored question, so that they can be made from records alone. For a bootstrap over
/// groups, each draw of a group takes a group name of its own.
struct ScoredRow {
  std::string id, group, category, subcategory, split;
  std::string expected;  ///< the first true answer
  Score score;
};
ScoredRow scored_row(const Item& item, Score score);

struct Metric {
  std::string name;    ///< "f1", "f1/random"
  double value = 0.0;  ///< as papers print it: percent or points, out of `max`
  double max = 100.0;
  int64_t n = 0;  ///< questions behind it; groups where groups are counted
};

/// Of an answer, at most, by convention.
struct TokenLimits {
  int32_t llava = 0;
  int32_t lmms = 0;
  int32_t vlmeval = 2048;  ///< the same in every benchmark
};

struct BenchmarkInfo {
  std::string name;     ///< one string everywhere: command line, records, reports
  std::string summary;  ///< one line
  std::string paper;    ///< authors, year, arXiv id
  std::vector<std::string>
      splits{};  ///< that LoadOptions may name; the first is the default unless docs say so
  TokenLimits max_new_tokens{};
};

class Benchmark {
 public:
  virtual ~Benchmark() = default;
  virtual const BenchmarkInfo& info() const = 0;

  /// Reads the original files or VLMEvalKit's table from a folder (or the table itself). Throws NotFound when
  /// the folder does not hold the benchmark (the message lists what was looked for) or a picture is missing,
  /// Corrupt (FILE:LINE), Io, InvalidArgument (split, limit).
  virtual std::vector<Item> load(const std::string& folder, const LoadOptions& options) const = 0;
  /// The user's turn, with "<image>" where the pictures stand.
  virtual std::string prompt(const Item& item, Convention convention) const = 0;
  /// Of the answer, at most; decoding is greedy in all conventions.
  int32_t max_new_tokens(Convention convention) const;
  virtual Score score(const Item& item, std::string_view answer, Convention convention) const = 0;
  /// The number that papers print comes first. Throws InvalidArgument without rows, or for groups that are
  /// not whole (MME).
  virtual std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention convention) const = 0;
  /// aggregate()'s first metric for resampling. The mean of the scores unless a benchmark says otherwise.
  virtual Headline headline(Convention) const { return mean_headline(); }
};

/// Every benchmark, in the order of the docs. Lives as long as the program.
const std::vector<const Benchmark*>& benchmarks();
/// Throws NotFound and lists the known names.
const Benchmark& find_benchmark(std::string_view name);

}  // namespace winnow::eval
