"""What is learned, or asked, of one layer at a time?

`greedy` and `recirculation` pre-train layers, `hidden_terms` are losses of hidden ones. Not for
training all layers together: that is `finetune`.
"""
