# Sources of the model writers, included by CMakeLists.txt.
set(WINNOW_SYNTH_SOURCES config_keys.cpp gguf_writer.cpp synth.cpp synth_shapes.cpp synth_vocab.cpp synth_weights.cpp weight_types.cpp)
