# Your home follows you to any machine.
PS1='[\u@\h \W]\$ '
