#include "winnow/eval/answer_normaliser.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "winnow/eval/python_text.h"

namespace winnow::eval {
namespace {

/// "1,000": which commas between digits make every punctuation mark vanish instead of becoming a blank.
enum class Commas { Run, Single };  // `(?<=\d)(,)+(?=\d)` against `(\d)(,)(\d)`
/// Which full stops go. The source of EvalAi and Official has `(?!<=\d)(\.)(?!\d)`, where `(?!<=` was meant
/// to be `(?<!`: as written it looks ahead for "<=" and never forbids anything.
enum class Stops { NoDigitBehind, NoDigitBeside };

// All sources call re.sub("", text, re.UNICODE); the third argument is the count, and re.UNICODE is 32.
constexpr int32_t kMaxStopsRemoved = 32;

constexpr std::string_view kMarks = ";/[]\"{}()=+\\_-><@`,?!";  // in this order

bool has_digit_commas(std::string_view text, Commas rule) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] != ',' || !is_digit(text[i - 1])) continue;
    std::size_t end = i + 1;
    while (rule == Commas::Run && end < text.size() && text[end] == ',') ++end;
    if (end < text.size() && is_digit(text[end])) return true;
  }
  return false;
}

std::string without_stops(std::string_view text, Stops rule) {
  std::string out;
  int32_t n_removed = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit_behind = i + 1 < text.size() && is_digit(text[i + 1]);
    const bool digit_before = i > 0 && is_digit(text[i - 1]);
    const bool goes = text[i] == '.' && !digit_behind && (rule == Stops::NoDigitBehind || !digit_before) &&
                      n_removed < kMaxStopsRemoved;
    n_removed += goes ? 1 : 0;
    if (!goes) out += text[i];
  }
  return out;
}

/// A mark that touches a blank somewhere in the text is deleted everywhere, else it becomes a blank. The
/// tests look at the original text, the edits add up.
std::string without_punctuation(std::string_view text, Commas commas, Stops stops) {
  const bool numbers = has_digit_commas(text, commas);
  std::string out(text);
  for (const char mark : kMarks) {
    const std::string before{mark, ' '}, behind{' ', mark};
    const bool deleted = numbers || contains(text, before) || contains(text, behind);
    out = replaced(out, {&mark, 1}, deleted ? "" : " ");
  }
  return without_stops(out, stops);
}

std::string_view number_of(std::string_view word) {
  constexpr std::array<std::string_view, 11> kNumbers = {"zero", "one",   "two",   "three", "four", "five",
                                                         "six",  "seven", "eight", "nine",  "ten"};
  constexpr std::array<std::string_view, 11> kDigits = {"0", "1", "2", "3", "4", "5",
                                                        "6", "7", "8", "9", "10"};
  if (word == "none") return "0";
  const auto* const found = std::find(kNumbers.begin(), kNumbers.end(), word);
  return found == kNumbers.end() ? word : kDigits[static_cast<std::size_t>(found - kNumbers.begin())];
}

struct Contraction {
  std::string_view bare, written;
};
// Facts from the sources named in the header, which agree. Their "Id've", "I'dve", "Im" and "Ive" are left
// out: the text is in lower case by then, so they never match.
constexpr std::array<Contraction, 116> kContractions = {{{"aint", "ain't"},
                                                         {"arent", "aren't"},
                                                         {"cant", "can't"},
                                                         {"couldve", "could've"},
                                                         {"couldnt", "couldn't"},
                                                         {"couldn'tve", "couldn't've"},
                                                         {"couldnt've", "couldn't've"},
                                                         {"didnt", "didn't"},
                                                         {"doesnt", "doesn't"},
                                                         {"dont", "don't"},
                                                         {"hadnt", "hadn't"},
                                                         {"hadnt've", "hadn't've"},
                                                         {"hadn'tve", "hadn't've"},
                                                         {"hasnt", "hasn't"},
                                                         {"havent", "haven't"},
                                                         {"hed", "he'd"},
                                                         {"hed've", "he'd've"},
                                                         {"he'dve", "he'd've"},
                                                         {"hes", "he's"},
                                                         {"howd", "how'd"},
                                                         {"howll", "how'll"},
                                                         {"hows", "how's"},
                                                         {"isnt", "isn't"},
                                                         {"itd", "it'd"},
                                                         {"itd've", "it'd've"},
                                                         {"it'dve", "it'd've"},
                                                         {"itll", "it'll"},
                                                         {"let's", "let's"},
                                                         {"maam", "ma'am"},
                                                         {"mightnt", "mightn't"},
                                                         {"mightnt've", "mightn't've"},
                                                         {"mightn'tve", "mightn't've"},
                                                         {"mightve", "might've"},
                                                         {"mustnt", "mustn't"},
                                                         {"mustve", "must've"},
                                                         {"neednt", "needn't"},
                                                         {"notve", "not've"},
                                                         {"oclock", "o'clock"},
                                                         {"oughtnt", "oughtn't"},
                                                         {"ow's'at", "'ow's'at"},
                                                         {"'ows'at", "'ow's'at"},
                                                         {"'ow'sat", "'ow's'at"},
                                                         {"shant", "shan't"},
                                                         {"shed've", "she'd've"},
                                                         {"she'dve", "she'd've"},
                                                         {"she's", "she's"},
                                                         {"shouldve", "should've"},
                                                         {"shouldnt", "shouldn't"},
                                                         {"shouldnt've", "shouldn't've"},
                                                         {"shouldn'tve", "shouldn't've"},
                                                         {"somebody'd", "somebodyd"},
                                                         {"somebodyd've", "somebody'd've"},
                                                         {"somebody'dve", "somebody'd've"},
                                                         {"somebodyll", "somebody'll"},
                                                         {"somebodys", "somebody's"},
                                                         {"someoned", "someone'd"},
                                                         {"someoned've", "someone'd've"},
                                                         {"someone'dve", "someone'd've"},
                                                         {"someonell", "someone'll"},
                                                         {"someones", "someone's"},
                                                         {"somethingd", "something'd"},
                                                         {"somethingd've", "something'd've"},
                                                         {"something'dve", "something'd've"},
                                                         {"somethingll", "something'll"},
                                                         {"thats", "that's"},
                                                         {"thered", "there'd"},
                                                         {"thered've", "there'd've"},
                                                         {"there'dve", "there'd've"},
                                                         {"therere", "there're"},
                                                         {"theres", "there's"},
                                                         {"theyd", "they'd"},
                                                         {"theyd've", "they'd've"},
                                                         {"they'dve", "they'd've"},
                                                         {"theyll", "they'll"},
                                                         {"theyre", "they're"},
                                                         {"theyve", "they've"},
                                                         {"twas", "'twas"},
                                                         {"wasnt", "wasn't"},
                                                         {"wed've", "we'd've"},
                                                         {"we'dve", "we'd've"},
                                                         {"weve", "we've"},
                                                         {"werent", "weren't"},
                                                         {"whatll", "what'll"},
                                                         {"whatre", "what're"},
                                                         {"whats", "what's"},
                                                         {"whatve", "what've"},
                                                         {"whens", "when's"},
                                                         {"whered", "where'd"},
                                                         {"wheres", "where's"},
                                                         {"whereve", "where've"},
                                                         {"whod", "who'd"},
                                                         {"whod've", "who'd've"},
                                                         {"who'dve", "who'd've"},
                                                         {"wholl", "who'll"},
                                                         {"whos", "who's"},
                                                         {"whove", "who've"},
                                                         {"whyll", "why'll"},
                                                         {"whyre", "why're"},
                                                         {"whys", "why's"},
                                                         {"wont", "won't"},
                                                         {"wouldve", "would've"},
                                                         {"wouldnt", "wouldn't"},
                                                         {"wouldnt've", "wouldn't've"},
                                                         {"wouldn'tve", "wouldn't've"},
                                                         {"yall", "y'all"},
                                                         {"yall'll", "y'all'll"},
                                                         {"y'allll", "y'all'll"},
                                                         {"yall'd've", "y'all'd've"},
                                                         {"y'alld've", "y'all'd've"},
                                                         {"y'all'dve", "y'all'd've"},
                                                         {"youd", "you'd"},
                                                         {"youd've", "you'd've"},
                                                         {"you'dve", "you'd've"},
                                                         {"youll", "you'll"},
                                                         {"youre", "you're"},
                                                         {"youve", "you've"}}};

std::string_view contraction_of(std::string_view word) {
  static const auto written_of = [] {
    std::unordered_map<std::string_view, std::string_view> map;
    for (const Contraction& c : kContractions) map.emplace(c.bare, c.written);
    return map;
  }();
  const auto found = written_of.find(word);
  return found == written_of.end() ? word : found->second;
}

/// Digits for number words, no articles, apostrophes where they belong, single blanks.
std::string plain_words(std::string_view text) {
  const std::string lowered = lower(text);
  std::string out;
  for (std::string_view word : split_words(lowered)) {
    word = number_of(word);
    if (word == "a" || word == "an" || word == "the") continue;
    if (!out.empty()) out += ' ';
    out += contraction_of(word);
  }
  return out;
}

std::string on_one_line(std::string_view text) {
  return std::string(strip(replaced(replaced(text, "\n", " "), "\t", " ")));
}

/// The step that only EvalAi has.
std::string tokenised(std::string_view text) {
  const std::string bare = replaced(replaced(lower(text), ",", ""), "?", "");
  return std::string(strip(replaced(bare, "'s", " 's")));
}

}  // namespace

std::string normalise_answer(std::string_view answer, AnswerRules rules) {
  switch (rules) {
    case AnswerRules::EvalAi:
      return plain_words(
          without_punctuation(on_one_line(tokenised(answer)), Commas::Run, Stops::NoDigitBehind));
    case AnswerRules::EvalAiRaw:
      return plain_words(without_punctuation(on_one_line(answer), Commas::Run, Stops::NoDigitBehind));
    case AnswerRules::Official:
      return plain_words(without_punctuation(on_one_line(answer), Commas::Single, Stops::NoDigitBehind));
    case AnswerRules::Vlmeval: break;
  }
  return plain_words(vlmeval_punctuation(on_one_line(answer)));
}

std::string vlmeval_punctuation(std::string_view text) {
  return without_punctuation(text, Commas::Single, Stops::NoDigitBeside);
}

double soft_score(std::string_view answer, std::span<const std::string> annotators) {
  if (annotators.empty()) return 0.0;
  const auto n = static_cast<double>(annotators.size());
  const auto m = static_cast<double>(std::count(annotators.begin(), annotators.end(), answer));
  // m annotators gave this answer and see m - 1 others who did, the rest see m.
  return (m * std::min(1.0, (m - 1.0) / 3.0) + (n - m) * std::min(1.0, m / 3.0)) / n;
}

}  // namespace winnow::eval
