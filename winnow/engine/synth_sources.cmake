# Sources of the model writer, included by CMakeLists.txt.
set(WINNOW_SYNTH_SOURCES gguf_writer.cpp synth.cpp synth_vocab.cpp synth_weights.cpp)
